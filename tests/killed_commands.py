"""Kills a command at its calls that change files, starts it again, and compares with the undisturbed result.

`python killed_commands.py FOLDER POINTS COMMAND...`, where POINTS is how many calls of each command, or `all`.

It is a process of its own as TensorFlow does not work in a process that was forked after it computed something: here
each command runs in a fork of a process that has only imported it.
"""

import json
import re
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import kills

sys.path.insert(0, str(Path(__file__).parents[1]))
import train_movielens_whole_models as script  # noqa: E402
from preprocess.generate.movielens import generate  # noqa: E402
from prerank.command_line import main as prerank_main  # noqa: E402
from prerank.folders import is_whole  # noqa: E402
from training.app import main  # noqa: E402

_TIMES = {"seconds", "examples_per_second"}


class _Command:
    """Commands of the movielens script and of `prerank index` in a folder.

    Args:
        folder: an empty folder.
        raw: raw data.
    """

    def __init__(self, folder: Path, raw: Path):
        self.root, self.before, self.raw = folder / "root", folder / "before", raw
        self._shared = raw.with_name("prepared")
        self._main = lambda flags: main(script.SOURCE, flags)
        self.before.mkdir(parents=True)

    def train(
        self,
        *flags: str,
        model: str = "target_means",
        root: Path | None = None,
        raw: Path | None = None,
        prepared: Path | None = None,
    ) -> None:
        """Train, by default without gradient steps."""
        places = ["--prepared_dir", str(prepared or self._shared), "--output_dir", str((root or self.root) / "runs")]
        done = [path for path in (root or self.root).glob("runs/*/*/*/*/metrics.json") if is_whole(path.parent)]
        small = [] if model == "target_means" else ["--epoch", "2", "--embedding_dim", "4", "--batch_size", "512"]
        code = self._main(["--data_path", str(raw or self.raw), *places, "--model_name", model, *small, *flags])
        assert code == 0 or (code == 2 and done), code  # a run that was finished before is not trained again

    def prepare(self) -> None:
        """Prepare the data."""
        flags = ["--data_path", str(self.raw), "--prepared_dir", str(self.root / "prepared"), "--prepare_only"]
        assert self._main(flags) == 0

    def index(self, *flags: str, root: Path | None = None) -> None:
        """Build or update the index of an export."""
        assert prerank_main(["index", "--model", str((root or self.root) / "out"), *flags]) == 0

    def reset(self) -> None:
        """Begin with what was there before."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.before, self.root)


def _result(root: Path) -> dict[str, Any]:
    """Every file by its hash, less what differs each time: metrics less their times, and nothing of TensorBoard."""
    found: dict[str, Any] = kills.snapshot(root, "fingerprint.pb", "history.csv", "CURRENT")
    # An index that was whole before the kill is one version further.
    found = {re.sub("/v[0-9]+/", "/v/", name): value for name, value in found.items() if "/tensorboard/" not in name}
    for path in root.rglob("*.h5"):
        found[str(path.relative_to(root))] = _weights(path)
    for path in root.rglob("metrics.json"):
        values = json.loads(path.read_text())
        found[str(path.relative_to(root))] = {name: value for name, value in values.items() if name not in _TIMES}
    return found


def _weights(path: Path) -> dict[str, list]:
    """What a model has learned, without Keras's own means over the last epoch trained, which need not be the best."""
    import h5py

    found: dict[str, list] = {}

    def visit(name: str, entry: Any) -> None:
        if isinstance(entry, h5py.Dataset) and not name.startswith("metrics/"):
            found[name] = entry[()].tolist()

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def _days(raw: Path) -> tuple[Path, Path]:
    """The raw data cut in two by time."""
    lines = (raw / "ratings.dat").read_text().splitlines()
    times = [int(line.rsplit("::", 1)[1]) for line in lines]
    middle = sorted(times)[len(times) // 2]
    places = raw.with_name("day1"), raw.with_name("day2")
    for place, late in zip(places, (False, True), strict=True):
        shutil.copytree(raw, place)
        chosen = [line for line, time in zip(lines, times, strict=True) if (time > middle) == late]
        (place / "ratings.dat").write_text("\n".join(chosen) + "\n")
    return places


def _check(command: _Command, action: Callable[[], object], points: int | None) -> None:
    command.reset()
    kills.done(action, command.root)
    undisturbed = _result(command.root)
    assert undisturbed
    for number in kills.killed(action, command.root, command.reset, points):
        kills.done(action, command.root)
        found = _result(command.root)
        differing = {name for name in found.keys() | undisturbed.keys() if found.get(name) != undisturbed.get(name)}
        assert not differing, f"killed at call {number}: {sorted(differing)}"
        print(f"killed at call {number}: the same", flush=True)


def _check_command(name: str, folder: Path, raw: Path, points: int | None) -> None:
    command = _Command(folder, raw)

    def before(*flags: str, model: str = "target_means", data: Path | None = None) -> None:
        kills.done(lambda: command.train(*flags, model=model, root=command.before, raw=data), folder)

    action: Callable[[], object]
    if name == "prepare":
        action = command.prepare
    elif name == "train":
        action = partial(command.train, model="lr")
    elif name == "overwrite":
        before()
        next(command.before.glob("runs/*/*/*/*/history.csv")).with_name("old").touch()
        action = partial(command.train, "--overwrite")
    elif name == "day":  # the second one, from raw rows to a run that goes on from the first day's
        first, second = _days(raw)
        before("--save_state", "all", model="lr", data=first)
        (run,) = (path.parent for path in command.before.glob("runs/*/*/*/*/metrics.json"))
        prepared, flags = command.root / "prepared", ["--init_from", str(run)]
        action = partial(command.train, *flags, model="lr", raw=second, prepared=prepared)
    else:
        # An index of an ONNX export is built without TensorFlow, so that it can be killed at many calls.
        format_ = "saved_model" if name == "export" else "onnx"
        before("--export_dir", str(command.before / "out"), "--export_format", format_, model="dssm")
        if name == "export":
            (command.before / "out" / "old").touch()
            action = partial(command.train, "--export_dir", str(command.root / "out"), model="dssm")
        elif name == "update":
            kills.done(lambda: command.index(root=command.before), folder)
            action = partial(command.index, "--update")
        else:
            action = command.index
    _check(command, action, points)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    generate(place / "raw", rows=3000, seed=1)
    for name in sys.argv[3:]:
        print(f"== {name}", flush=True)
        _check_command(name, place / name, place / "raw", None if sys.argv[2] == "all" else int(sys.argv[2]))
