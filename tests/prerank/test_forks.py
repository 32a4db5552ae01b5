"""A ranker that is made before a process forks its workers."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from artefacts import export_small, write_items

from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.forks import PerProcess

ROOT = Path(__file__).parents[2]

_TOOLS = """
import multiprocessing, os, sys, threading, time
from pathlib import Path
from prerank import PreRanker
from prerank.errors import ForkedError

USER = {"user_id": 105, "gender": "F", "age": 20}
place = Path(sys.argv[1])

def ask(ranker, results=None):
    try:
        found = ranker.top(USER, 3).ids.tolist()
    except ForkedError as error:
        assert "multiprocessing's spawn" in str(error)
        found = "refused"
    if results is not None:
        results.put(found)
    return found

def in_a_child(ask, seconds=30, leave=sys.exit):
    # as gunicorn's --preload does it: the child ends by leaving Python
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, repr(ask()).encode())
        leave(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert status == 0, status
            return eval(os.read(reader, 10_000))
        time.sleep(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return "hangs"

def in_a_process(ranker):
    forking = multiprocessing.get_context("fork")
    results = forking.Queue()
    process = forking.Process(target=ask, args=(ranker, results))
    process.start()
    found = results.get(timeout=30)
    process.join(30)
    assert process.exitcode == 0
    return found
"""


def _run(code, *args):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", _TOOLS + code, *map(str, args)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forks")
    items = write_items(folder / "items.parquet", range(1, 400, 2))
    for form in ("saved_model", "onnx"):
        export_small("hit", folder / form, catalogue=items, export_format=form)
        build(Artefact(folder / form), items, folder / form / "index")
    return folder


def test_a_saved_model_is_loaded_in_each_worker_and_refused_where_it_would_hang(places):
    _run(
        """
ranker = PreRanker(place / "saved_model")
assert "tensorflow" not in sys.modules
first = in_a_child(lambda: ask(ranker))
assert len(first) == 3, first
import tensorflow  # to import it is no harm
assert in_a_process(ranker) == first
assert ask(ranker) == first
start = time.monotonic()
assert in_a_child(lambda: ask(ranker)) == "refused"
assert in_a_process(ranker) == "refused"
assert in_a_child(lambda: ask(PreRanker(place / "saved_model"))) == "refused"
assert in_a_child(lambda: in_a_child(lambda: ask(ranker))) == "refused"
assert time.monotonic() - start < 15
assert ask(ranker) == first
""",
        places,
    )


def test_a_worker_whose_parent_used_tensorflow_without_this_package(places):
    _run(
        """
for name in [name for name in sys.modules if name.startswith("prerank")]:
    del sys.modules[name]
import importlib
import tensorflow as tf
tf.function(lambda: tf.constant(1) + 1)()

def late():
    import prerank.errors, prerank.saved_model
    prerank.saved_model._PATIENCE = float(sys.argv[2])
    globals()["ForkedError"] = prerank.errors.ForkedError
    return ask(prerank.PreRanker(place / "saved_model"))

# the hook of the first import still counts, but its module is not the one that is asked
assert in_a_child(late) == "refused"
found = late()
assert len(found) == 3, "in its own process it computes"
""",
        places,
        4,
    )


def test_an_onnx_export_answers_in_any_worker(places):
    _run(
        """
from prerank import onnx_model
from prerank.artefact import Artefact
onnx_model.cores = lambda: 4
ranker, model = PreRanker(place / "onnx"), Artefact(place / "onnx")
first = ask(ranker)
import numpy as np
raw = [np.arange(2000), np.full((2000, 1), "Drama", object), np.full(2000, 0.5, np.float32)]
state = model.item_tower(raw)["item_heads"]
kept = ranker._encode._session.get()

def same():
    assert ranker._encode._session.get() is kept, "a session without threads is shared"
    np.testing.assert_allclose(model.item_tower(raw)["item_heads"], state, atol=1e-6)
    return ask(ranker)

assert in_a_child(same) == first and in_a_process(ranker) == first

class Busy:
    # a thread that is within the session for as long as the fork takes
    def __init__(self, session):
        self.session, self.inside, self.leave = session, threading.Event(), threading.Event()

    def run(self, *args):
        self.inside.set()
        self.leave.wait()
        return self.session.run(*args)

busy = Busy(kept)
ranker._encode._session._made[0] = busy
thread = threading.Thread(target=ask, args=(ranker,))
thread.start()
busy.inside.wait()
assert in_a_child(lambda: ask(ranker)) == first
busy.leave.set()
thread.join()
""",
        places,
    )


def test_a_lock_that_another_thread_holds_is_free_in_the_child(places):
    _run(
        """
import shutil
shutil.copytree(place / "onnx", place / "locked")
index = place / "locked" / "index"
ranker = PreRanker(place / "locked")
first = ask(ranker)

def replaced():
    assert ranker.reload() == "v000001"
    shutil.copytree(index / "v000001", index / "v000002")
    (index / "new").write_text("v000002\\n")
    (index / "new").rename(index / "CURRENT")
    found = ask(ranker)
    return found if ranker.version == "v000002" else ranker.version

watched = ranker._index
with watched._loading.get(), watched._saying.get():
    holder = []
    thread = threading.Thread(target=lambda: holder.append(in_a_child(replaced, leave=os._exit)))
    thread.start()
    thread.join()
assert holder == [first], holder

from prerank.forks import PerProcess
making, go_on = threading.Event(), threading.Event()

def make():
    if threading.current_thread() is not threading.main_thread():
        making.set()
        go_on.wait()
    return os.getpid()

value = PerProcess(make)
thread = threading.Thread(target=value.get)
thread.start()
making.wait()
assert in_a_child(lambda: value.get() == os.getpid()) is True
go_on.set()
thread.join()
assert value.get() == os.getpid()
""",
        places,
    )


def test_what_is_made_is_made_once_for_all_threads():
    made, gate = [], threading.Barrier(8)

    def make():
        made.append(object())
        return made[-1]

    value, found = PerProcess(make), []

    def get():
        gate.wait()
        found.append(value.get())

    threads = [threading.Thread(target=get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert found == made * 8


def test_what_could_not_be_made_is_tried_again():
    outcomes = iter([ValueError("not yet"), 5])

    def make():
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    value = PerProcess(make)
    with pytest.raises(ValueError, match="not yet"):
        value.get()
    assert value.get() == 5
    assert value.get() == 5


def test_loading_before_the_first_request_changes_no_answer(places):
    from prerank import PreRanker

    for form in ("saved_model", "onnx"):
        loaded, not_loaded = PreRanker(places / form), PreRanker(places / form)
        loaded.load()
        user = {"user_id": 105, "gender": "F", "age": 20}
        assert np.array_equal(loaded.top(user, 5).scores, not_loaded.top(user, 5).scores)
