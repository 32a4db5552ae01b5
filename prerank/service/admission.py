"""How many requests a process takes at a time, and how long each may take."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class BusyError(RuntimeError):
    """There is no place for a further request."""


class Admission:
    """Bounds the requests of one process. Used by one event loop.

    A request holds a place from its head to its answer, so that slow senders are bounded too. It computes in one of
    `concurrency` threads. A thread cannot be stopped: a request that timed out within one holds it, and its place,
    until the thread is done.

    Args:
        concurrency: how many compute at a time.
        queue: how many more may be read or wait.
    """

    def __init__(self, concurrency: int, queue: int):
        self._most = concurrency + queue
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="prerank")
        self._late = 0
        self.inside = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for a request.

        Raises:
            BusyError: all are taken.
        """
        if self.inside + self._late >= self._most:
            raise BusyError
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    async def run(self, compute: Callable[[], T]) -> T:
        """What `compute` returns, from a thread. If this is cancelled, `compute` does not begin, or ends unheard."""
        future = self._threads.submit(compute)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if not future.done():
                self._late += 1
                future.add_done_callback(self._ended(asyncio.get_running_loop()))
            raise

    def _ended(self, loop: asyncio.AbstractEventLoop) -> Callable[[Future], None]:
        def free() -> None:
            self._late -= 1

        def ended(_: Future) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(free)

        return ended

    def close(self) -> None:
        """End the threads that are idle."""
        self._threads.shutdown(wait=False, cancel_futures=True)
