"""Many threads ask for the best items while the index is replaced under them.

Two catalogues take turns as the index. Before, every user's answer on each is computed alone; under load an answer has
to be one of the two, ids and scores as a whole. A request that mixed two indexes would give neither.
"""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prerank import index
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.preranker import PreRanker
from prerank.requests import User
from prerank.scored import Scored

_TOP = 100


@dataclass(frozen=True)
class Outcome:
    """What a stress run saw.

    Attributes:
        requests: answers by the version of the index that they named.
        wrong: what went wrong: an error, or an answer that belongs to no one version.
        seconds: from the first request to the last.
    """

    requests: Counter[str]
    wrong: list[str]
    seconds: float


def stress(
    model_dir: Path,
    catalogues: tuple[Path, Path],
    folder: Path,
    users: Sequence[User],
    *,
    threads: int = 16,
    requests: int = 5000,
    replacements: int = 10,
) -> Outcome:
    """Send `requests` from `threads` threads while the index is replaced `replacements` times, evenly spread.

    Args:
        model_dir: an exported model.
        catalogues: Parquet files with different items or features.
        folder: an empty folder for indexes.
        users: raw values; taken in turn.
        threads: how many threads ask.
        requests: how many answers they want, together.
        replacements: how often the index is replaced.
    """
    model = Artefact(model_dir)
    built = [build(model, items, folder / f"alone-{number}") for number, items in enumerate(catalogues)]
    alone = [PreRanker(model_dir, folder / f"alone-{number}") for number in range(2)]
    expected = [[ranker.top(user, _TOP) for user in users] for ranker in alone]
    ids = [states.states.ids for states in built]

    def replace(turn: int) -> None:
        with index.writing(folder / "live"):
            index.publish(folder / "live", built[turn % 2].states, {"fingerprint": model.fingerprint})

    replace(0)
    ranker = PreRanker(model_dir, folder / "live")
    done, wrong, lock = Counter[str](), [], threading.Lock()

    def ask(first: int) -> None:
        for number in range(first, requests, threads):
            row, version = number % len(users), "error"
            try:
                found = ranker.top(users[row], _TOP)
                version = found.version
                turn = (int(version[1:]) - 1) % 2
                problem = None if _same(found, expected[turn][row]) else f"{found.version}: not the answer of any index"
                scored = ranker.score(users[row], ids[turn][:_TOP])
                if (int(scored.version[1:]) - 1) % 2 == turn and scored.unknown:
                    problem = f"{scored.version}: {len(scored.unknown)} of its own items unknown"
            except Exception as error:  # whatever it is, it is what this looks for
                problem = f"{type(error).__name__}: {error}"
            with lock:
                done[version] += 1
                if problem:
                    wrong.append(problem)

    workers = [threading.Thread(target=ask, args=(number,)) for number in range(threads)]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for turn in range(1, replacements + 1):
        while done.total() < requests * turn // (replacements + 1) and any(w.is_alive() for w in workers):
            time.sleep(0.001)
        replace(turn)
    for worker in workers:
        worker.join()
    return Outcome(done, wrong, time.perf_counter() - start)


def _same(found: Scored, expected: Scored) -> bool:
    close = found.scores.shape == expected.scores.shape and np.allclose(found.scores, expected.scores, atol=1e-5)
    return close and np.array_equal(found.ids, expected.ids)
