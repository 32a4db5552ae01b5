"""Training speed on a table of 1,000,000 rows, 12 sparse fields and a history of 50: deepctr's, ours, PyTorch's.

    python -m benchmarks.train_throughput
    python -m benchmarks.train_throughput --sides ours --models all --rounds 1
    python -m benchmarks.train_throughput --sides ours --without all

The first compares: a two-tower model of two (128, 64) towers, made of deepctr's layers and trained by `model.fit` on
arrays; the project's DSSM, trained from Parquet with shuffling and id masking; and, if `requirements-torch.txt` is
installed, PyTorch's EmbeddingBag, SparseAdam and DataLoader. Each measurement is a process of its own, the sides take
turns, and the medians are printed. The second measures every model of the registry with its default options, the
third what each lever gives, by taking one back.
"""

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from prerank.errors import InputError
from prerank.options import Options as DecimalOptions
from prerank.reading import problem

HIDDEN = (128, 64)
EMBEDDING_DIM = 32
LEVERS = ("planning", "lazy_adam", "no_weight_decay", "no_tuner", "no_xla")
_WITHOUT = "ours without "
_STAGES = ("input", "forward", "backward", "optimizer")


class Options(DecimalOptions, BaseSettings):
    """What to measure."""

    model_config = SettingsConfigDict(cli_prog_name="benchmarks.train_throughput", cli_exit_on_error=False)

    @classmethod
    def settings_customise_sources(cls, settings_cls, init_settings, *_, **__):
        """Flags alone: no variable of the environment is an option."""
        return (init_settings,)

    sides: str = Field("", description="which of stock, ours, torch, comma-separated; default all that are installed")
    models: str = Field("dssm", description="models of the registry for ours, comma-separated, or all")
    rounds: PositiveInt = Field(5, description="measurements of each")
    rows: PositiveInt = Field(1_000_000, description="training rows")
    batch_size: PositiveInt = Field(2048, description="rows a batch")
    stock_steps: PositiveInt = Field(60, description="batches that stock deepctr and PyTorch are timed for")
    ids: Literal["zipf", "uniform"] = Field("zipf", description="how ids are drawn from their vocabularies")
    without: str = Field("", description=f"also ours without one of {', '.join(LEVERS)}; comma-separated, or all")
    profile: NonNegativeInt = Field(0, description="also print so many kinds of operations of ours, the longest first")
    work_dir: Path | None = Field(None, description="folder to keep the table in; default a temporary one")


def main(arguments: list[str]) -> int:
    """Run the benchmark and return the exit code."""
    try:
        options = Options(_cli_parse_args=arguments)  # type: ignore[call-arg]
    except SettingsError as error:
        print(f"error: {InputError(str(error))}", file=sys.stderr)
        return 2
    except ValidationError as error:
        name = error.errors()[0]["loc"][0]
        print(f"error: {InputError(f'--{name}: {problem(error, {})}')}", file=sys.stderr)
        return 2
    available = ["stock", "ours"] + (["torch"] if find_spec("torch") else [])
    sides = options.sides.split(",") if options.sides else available
    if unknown := [side for side in sides if side not in available]:
        message = f"--sides: choose of {', '.join(available)}. Received: {', '.join(unknown)}"
        print(f"error: {InputError(message)}", file=sys.stderr)
        return 2
    without = list(LEVERS) if options.without == "all" else [name for name in options.without.split(",") if name]
    if unknown := [name for name in without if name not in LEVERS]:
        message = f"--without: choose of {', '.join(LEVERS)}. Received: {', '.join(unknown)}"
        print(f"error: {InputError(message)}", file=sys.stderr)
        return 2
    sides += [_WITHOUT + name for name in without]
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.work_dir or Path(temporary)) / f"{options.ids}-{options.rows}"
        for model in _models(options):
            _compare(sides, model, options, folder)
    return 0


def _models(options: Options) -> list[str]:
    if options.models != "all":
        return options.models.split(",")
    return _in_a_process(_differentiable)


def _differentiable() -> list[str]:
    import models

    return [name for name in models.names() if models.get(name).differentiable and name != "target_means"]


def _compare(sides: list[str], model: str, options: Options, folder: Path) -> None:
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    print(f"{model}, {os.cpu_count()} cores, {options.ids} ids, batch {options.batch_size:,}, {options.rows:,} rows")
    for number in range(options.rounds):
        for side in sides:
            found[side].append(_measure(side, model, options, folder))
            print(f"  round {number + 1}, {side}: {found[side][-1]['examples_per_second']:,.0f} examples/s", flush=True)
    print("| | examples/s | " + " | ".join(f"{stage}, ms a batch" for stage in _STAGES) + " | evaluation / epoch |")
    print("| --- " * (len(_STAGES) + 3) + "|")
    for side, results in found.items():
        median = {key: statistics.median(result[key] for result in results) for key in results[0]}
        stages = [f"{1e3 * median[stage]:.1f}" for stage in _STAGES]
        share = f"{median['evaluation_share']:.3f}" if "evaluation_share" in median else "–"
        print(f"| {side} | {median['examples_per_second']:,.0f} | {' | '.join(stages)} | {share} |")
    for other in [side for side in sides if side != "ours"] if "ours" in sides else []:
        ratios = [
            a["examples_per_second"] / b["examples_per_second"]
            for a, b in zip(found["ours"], found[other], strict=True)
        ]
        print(f"ours / {other}: {statistics.median(ratios):.1f} (from {min(ratios):.1f} to {max(ratios):.1f})")
    if options.profile:
        _print_profile(_in_a_process(_profile_here, model, options, folder), options.profile)
    print(flush=True)


def _print_profile(milliseconds: Counter[str], count: int) -> None:
    print("\n| operation | ms a batch, all threads |\n| --- | --- |")
    for name, value in [*milliseconds.most_common(count), ("all", milliseconds.total())]:
        print(f"| {name} | {value:.1f} |")


def _measure(side: str, model: str, options: Options, folder: Path) -> dict[str, Any]:
    if side == "torch":
        numbers = [EMBEDDING_DIM, options.batch_size, options.stock_steps, *HIDDEN]
        script = Path(__file__).parent / "throughput" / "pytorch.py"
        command = [sys.executable, str(script), str(folder), *map(str, numbers)]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return _in_a_process(_measure_here, side, model, options, folder)


def _measure_here(side: str, model: str, options: Options, folder: Path) -> dict[str, Any]:
    from benchmarks.throughput import ours, stock

    data = _table(options, folder)
    if side == "stock":
        return stock.measure(data, HIDDEN, EMBEDDING_DIM, options.batch_size, options.stock_steps)
    return ours.measure(data, model, _model_options(model), options.batch_size, side.partition(_WITHOUT)[2])


def _profile_here(model: str, options: Options, folder: Path) -> Counter[str]:
    from benchmarks.throughput import ours

    return ours.profile(_table(options, folder), model, _model_options(model), options.batch_size)


def _table(options: Options, folder: Path) -> Any:
    from benchmarks.throughput import table

    return table.build(folder, options.ids, options.rows, validation_rows=200_000)


def _model_options(model: str) -> dict[str, Any]:
    """The two-tower model is the one that the other sides have; the others are as they are by default."""
    return {"hidden_units": HIDDEN, "dropout": 0.0, "embedding_dim": EMBEDDING_DIM} if model == "dssm" else {}


def _in_a_process(function: Any, *arguments: Any) -> Any:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
