"""Places and threads: what waits too long does not begin, and a thread that is late keeps its place."""

import asyncio
import threading

import pytest

from prerank.service.admission import Admission, BusyError


def test_places_are_bounded_and_given_back():
    admission = Admission(1, 1)
    with admission.place(), admission.place():
        with pytest.raises(BusyError), admission.place():
            pass
        assert admission.inside == 2
    with admission.place():
        assert admission.inside == 1


def test_a_late_thread_keeps_its_place_and_what_waits_behind_it_never_begins():
    async def run():
        admission = Admission(1, 0)
        begun, go, heard = threading.Event(), threading.Event(), []

        def late():
            begun.set()
            go.wait(30)
            return "late"

        async def placed():
            with admission.place():
                await admission.run(late)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(placed(), 0.2)
        assert begun.is_set()
        with pytest.raises(BusyError), admission.place():
            pass
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(admission.run(lambda: heard.append("begun")), 0.1)
        go.set()
        while True:
            try:
                with admission.place():
                    assert await admission.run(lambda: "next") == "next"
                    break
            except BusyError:
                await asyncio.sleep(0.01)
        assert heard == []
        admission.close()

    asyncio.run(asyncio.wait_for(run(), 30))
