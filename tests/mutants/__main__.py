"""Runs mutants and says which of them no test noticed; see :mod:`tests.mutants`.

Exit code 0: every one was noticed. 1: some were not. 2: no test ran for some, or one fails without any fault too.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

from tests.mutants import by_hand, results, scope
from tests.mutants.draw import Mutant, Mutated, drawn
from tests.mutants.results import Results
from tests.mutants.trees import BROKEN, KILLED, SURVIVED, TIMEOUT, Found, Tree, failures, preload

ROOT = Path(__file__).parents[2]
_CHANGED = re.compile(r"@@ .* \+(\d+)(?:,(\d+))? @@")
_LONGEST = 600.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.splitlines()[0])
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--changed", action="store_true", help="lines that differ from --since, and their files by hand")
    which.add_argument("--count", type=int, help="so many mutants drawn over everything")
    which.add_argument("--by_hand", action="store_true", help="those written by hand only")
    which.add_argument("--table", action="store_true", help="write the table of --results to --out, and print it")
    which.add_argument(
        "--check", action="store_true", help="see that the tests that failed in --results pass otherwise"
    )
    parser.add_argument("--since", default="main", help="with --changed: a commit or branch (default: main)")
    parser.add_argument("--most", type=int, default=20, help="with --changed: most mutants drawn (default: 20)")
    parser.add_argument("--only", default="", help="only files whose path holds this text")
    parser.add_argument("--again", action="store_true", help="run those that survived once more")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time (default: 1)")
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), help="I N: every N-th mutant only, from the I-th")
    parser.add_argument(
        "--results", type=Path, default=ROOT / ".cache/mutants.csv", help="file that a stopped run goes on from"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results/mutants.csv", help="with --table: the file")
    return parser.parse_args()


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True, text=True).stdout


def changed_lines(since: str) -> set[tuple[str, int]]:
    """Files and numbers of the lines that differ from a commit, those not yet committed included."""
    base = _git("merge-base", "HEAD", since).strip()
    found, file = set(), ""
    for line in _git("diff", "--unified=0", base, "--", "*.py").splitlines():
        if line.startswith("+++ "):
            file = line.removeprefix("+++ ").removeprefix("b/")
        elif match := _CHANGED.match(line):
            start, count = int(match[1]), int(match[2] or 1)
            found |= {(file, number) for number in range(start, start + count)}
    return found


def _mutants(asked: argparse.Namespace) -> Iterator[Mutated]:
    files = [file for file in scope.files(ROOT) if asked.only in file]
    if asked.changed:
        lines = {(file, line) for file, line in changed_lines(asked.since) if file in files}
        files = sorted({file for file, _ in lines})
        yield from by_hand.mutants(ROOT, files)
        yield from drawn(ROOT, lines, files, asked.most)
    elif asked.count:
        yield from drawn(ROOT, None, files, asked.count)
    else:
        yield from by_hand.mutants(ROOT, files)


def _run(asked: argparse.Namespace) -> Results:
    known = results.read(asked.results)
    first, step = asked.part
    wanted = {mutated.mutant.key: mutated for mutated in list(_mutants(asked))[first::step]}
    done = {key: known[key] for key in wanted if key in known and known[key][1].result != BROKEN}
    if asked.again:
        done = {key: value for key, value in done.items() if value[1].result != SURVIVED}
    to_do = [mutated for key, mutated in wanted.items() if key not in done]
    print(f"{len(wanted)} mutants, {len(done)} of them known from {asked.results}", flush=True)
    if not to_do:
        return done
    preload()
    lock = threading.Lock()
    with tempfile.TemporaryDirectory() as folder:
        places: Queue[tuple[Tree, Path]] = Queue()
        for number in range(asked.jobs):
            place = Path(folder) / f"tree-{number}"
            place.mkdir()
            places.put((Tree(ROOT, place), Path(folder) / f"log-{number}"))

        def one(mutated: Mutated) -> None:
            tree, log = places.get()
            try:
                with tree.with_fault(mutated):
                    found = tree.run(scope.tests(ROOT, mutated.mutant.file), log, _LONGEST)
                if found.result == KILLED and not found.by.startswith("tests/"):
                    print(log.read_text("utf-8", "replace")[-2000:], flush=True)
            finally:
                places.put((tree, log))
            with lock:
                done[mutated.mutant.key] = mutated.mutant, found
                results.append(asked.results, mutated.mutant, found)
                _say(mutated, found)

        with ThreadPoolExecutor(asked.jobs) as pool:
            for future in [pool.submit(one, mutated) for mutated in to_do]:
                future.result()
    return done


def _check(found: Iterable[tuple[Mutant, Found]]) -> int:
    """Run the tests by which mutants were noticed on the code as it is."""
    names = sorted({one.by if one.by.count("[") == one.by.count("]") else one.by.split("[")[0] for _, one in found})
    names = [name for name in names if name.startswith("tests/")]
    preload()
    with tempfile.TemporaryDirectory() as folder:
        place, log = Path(folder) / "tree", Path(folder) / "log"
        place.mkdir()
        one = Tree(ROOT, place).run([(name, "") for name in names], log, 10 * _LONGEST, first=False)
        text = log.read_text("utf-8", "replace")
    print(f"{len(names)} tests: {text.splitlines()[-1]}")
    for name in failures(text):
        print(f"fails without any fault: {name}")
    return 0 if one.result == SURVIVED else 2


def _say(mutated: Mutated, found: Found) -> None:
    mutant = mutated.mutant
    print(f"{found.result:8} {found.seconds:5.0f} s  {mutant.file}:{mutant.line} {mutant.operator}", flush=True)
    if found.result in (SURVIVED, BROKEN):
        print(f"    - {mutant.before}\n    + {mutant.after}", flush=True)


def main() -> int:
    """Run the command and return its exit code."""
    asked = _arguments()
    if asked.check:
        return _check(results.read(asked.results).values())
    if asked.table:
        found = list(results.read(asked.results).values())
        results.write(asked.out, found)
    else:
        found = list(_run(asked).values())
    print("\n".join(results.summary(found)))
    outcomes = {one.result for _, one in found}
    assert outcomes <= {KILLED, SURVIVED, TIMEOUT, BROKEN}
    return 2 if BROKEN in outcomes else 1 if SURVIVED in outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
