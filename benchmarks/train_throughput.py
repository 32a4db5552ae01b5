"""Training speed on a table of 1,000,000 rows, 12 sparse fields and a history of 50, beside other systems.

    python -m benchmarks.train_throughput
    python -m benchmarks.train_throughput --sides ours,fbgemm --torch_python fbgemm/bin/python --embedding_dim 16
    python -m benchmarks.train_throughput --sides ours --models all --rounds 1
    python -m benchmarks.train_throughput --sides ours --without all

The first compares a two-tower model of two (128, 64) towers:

- stock: made of deepctr's layers and trained by `model.fit` on arrays;
- ours: the project's DSSM, trained from Parquet with shuffling and id masking;
- torch: PyTorch's EmbeddingBag, SparseAdam and DataLoader, if `requirements-torch.txt` is installed;
- fbgemm: fbgemm's table-batched embeddings with rowwise Adagrad, if `requirements-fbgemm.txt` is installed.

Each measurement is a process of its own, the sides take turns, and the medians are printed. All sides keep freed
memory, see :mod:`prerank.allocator`. The third command measures every model of the registry with its default options,
the fourth what each lever gives, by taking one back.
"""

import functools
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from benchmarks.alternation import Found, alternate, medians, ratios, shown
from benchmarks.machine import machine
from prerank.allocator import as_environment, keep_freed_memory
from prerank.errors import InputError
from prerank.folders import write_text
from prerank.options import Options as DecimalOptions
from prerank.reading import problem

HIDDEN = (128, 64)
_SCRIPTS = {"torch": ("pytorch.py", "torch"), "fbgemm": ("fbgemm.py", "fbgemm_gpu")}
"""Of the sides that run in `--torch_python`, the script and the package that it needs."""
LEVERS = ("compiled_rows", "kept_memory", "planning", "lazy_adam", "no_weight_decay", "no_tuner", "no_xla")
_WITHOUT = "ours without "
_STAGES = ("input", "forward", "backward", "optimizer")


class Options(DecimalOptions, BaseSettings):
    """What to measure."""

    model_config = SettingsConfigDict(
        cli_prog_name="benchmarks.train_throughput", cli_exit_on_error=False, cli_avoid_json=True
    )

    @classmethod
    def settings_customise_sources(cls, settings_cls, init_settings, *_, **__):
        """Flags alone: no variable of the environment is an option."""
        return (init_settings,)

    sides: str = Field("", description="which of stock, ours, torch, fbgemm, comma-separated; default all there are")
    models: str = Field("dssm", description="models of the registry for ours, comma-separated, or all")
    rounds: PositiveInt = Field(5, description="measurements of each")
    rows: PositiveInt = Field(1_000_000, description="training rows")
    batch_size: PositiveInt = Field(2048, description="rows a batch")
    embedding_dim: PositiveInt = Field(32, description="size of an embedding of dssm and of the other sides")
    stock_steps: PositiveInt = Field(60, description="batches that stock deepctr, PyTorch and fbgemm are timed for")
    torch_python: str = Field(sys.executable, description="the Python that has PyTorch and fbgemm")
    ids: Literal["zipf", "uniform"] = Field("zipf", description="how ids are drawn from their vocabularies")
    without: str = Field("", description=f"also ours without one of {', '.join(LEVERS)}; comma-separated, or all")
    profile: NonNegativeInt = Field(0, description="also print so many kinds of operations of ours, the longest first")
    json_file: Path | None = Field(None, description="file to write every figure, the machine and its load to")
    work_dir: Path | None = Field(None, description="folder to keep the table in; default a temporary one")


def main(arguments: list[str]) -> int:
    """Run the benchmark and return the exit code."""
    try:
        options = read_options(arguments)
        sides = _sides(options)
    except (InputError, SettingsError) as error:
        print(f"error: {InputError(str(error))}", file=sys.stderr)
        return 2
    except ValidationError as error:
        name = error.errors()[0]["loc"][0]
        print(f"error: {InputError(f'--{name}: {problem(error, {})}')}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.work_dir or Path(temporary)) / f"{options.ids}-{options.rows}"
        found = {model: compare(sides, model, options, folder) for model in _models(options)}
    if options.json_file is not None:
        write_text(options.json_file, json.dumps({"machine": machine(), "models": found}, indent=1) + "\n")
    return 0


def read_options(arguments: list[str]) -> Options:
    """What flags ask for.

    Raises:
        ValidationError, SettingsError: a flag is wrong.
    """
    return Options(_cli_parse_args=arguments)  # type: ignore[call-arg]


def available(options: Options) -> list[str]:
    """The sides that can be measured here."""
    return ["stock", "ours", *(side for side in _SCRIPTS if _installed(side, options.torch_python))]


def _sides(options: Options) -> list[str]:
    """The sides that the options name, or all that are installed.

    Raises:
        InputError: there is no such side or lever.
    """
    known = available(options)
    sides = options.sides.split(",") if options.sides else known
    if unknown := [side for side in sides if side not in known]:
        raise InputError(f"--sides: choose of {', '.join(known)}. Received: {', '.join(unknown)}")
    without = list(LEVERS) if options.without == "all" else [name for name in options.without.split(",") if name]
    if unknown := [name for name in without if name not in LEVERS]:
        raise InputError(f"--without: choose of {', '.join(LEVERS)}. Received: {', '.join(unknown)}")
    return sides + [_WITHOUT + name for name in without]


def _installed(side: str, python: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({_SCRIPTS[side][1]!r}) is None)"
    try:
        return subprocess.run([python, "-c", code]).returncode == 0
    except OSError as error:
        raise InputError(f"--torch_python: {error.strerror}", path=Path(python)) from error


def _models(options: Options) -> list[str]:
    if options.models != "all":
        return options.models.split(",")
    return _in_a_process(_differentiable)


def _differentiable() -> list[str]:
    import models

    return [name for name in models.names() if models.get(name).differentiable and name != "target_means"]


def compare(sides: list[str], model: str, options: Options, folder: Path) -> Found:
    """Measure the sides in turn, and print their medians and how ours compares with each."""
    print(f"{model}, {os.cpu_count()} cores, {options.ids} ids, batch {options.batch_size:,}, {options.rows:,} rows")
    measures = {side: functools.partial(_measure, side, model, options, folder) for side in sides}
    found = alternate(measures, options.rounds, functools.partial(print, flush=True))
    stages = " | ".join(f"{stage}, ms a batch" for stage in _STAGES)
    print(f"| | examples/s | CPU, ms a batch | {stages} | evaluation / epoch |")
    print("| --- " * (len(_STAGES) + 4) + "|")
    for side, results in found.items():
        median = medians(results)
        cells = [f"{median['examples_per_second']:,.0f}"]
        cells += [f"{1e3 * median[name]:.1f}" for name in ("cpu", *_STAGES)]
        cells.append(f"{median['evaluation_share']:.3f}" if "evaluation_share" in median else "–")
        print(f"| {side} | {' | '.join(cells)} |")
    for other in [side for side in sides if side != "ours"] if "ours" in sides else []:
        speed = shown(ratios(found, "ours", other, "examples_per_second"))
        print(f"ours / {other}: examples/s {speed}, CPU {shown(ratios(found, 'ours', other, 'cpu'))}")
    if options.profile:
        _print_profile(_in_a_process(_profile_here, model, options, folder), options.profile)
    print(flush=True)
    return found


def _print_profile(milliseconds: Counter[str], count: int) -> None:
    print("\n| operation | ms a batch, all threads |\n| --- | --- |")
    for name, value in [*milliseconds.most_common(count), ("all", milliseconds.total())]:
        print(f"| {name} | {value:.1f} |")


def _measure(side: str, model: str, options: Options, folder: Path) -> dict[str, Any]:
    if side in _SCRIPTS:
        _in_a_process(_table, options, folder)
        numbers = [options.embedding_dim, options.batch_size, options.stock_steps, *HIDDEN]
        script = Path(__file__).parent / "throughput" / _SCRIPTS[side][0]
        command = [options.torch_python, str(script), str(folder), *map(str, numbers)]
        environment = os.environ | as_environment()
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        return json.loads(done.stdout.splitlines()[-1])
    return _in_a_process(_measure_here, side, model, options, folder)


def _measure_here(side: str, model: str, options: Options, folder: Path) -> dict[str, Any]:
    without = side.partition(_WITHOUT)[2]
    if without != "kept_memory":
        keep_freed_memory()
    from benchmarks.throughput import ours, stock

    data = _table(options, folder)
    if side == "stock":
        return stock.measure(data, HIDDEN, options.embedding_dim, options.batch_size, options.stock_steps)
    return ours.measure(data, model, _model_options(model, options), options.batch_size, without)


def _profile_here(model: str, options: Options, folder: Path) -> Counter[str]:
    keep_freed_memory()
    from benchmarks.throughput import ours

    return ours.profile(_table(options, folder), model, _model_options(model, options), options.batch_size)


def _table(options: Options, folder: Path) -> Any:
    from benchmarks.throughput import table

    return table.build(folder, options.ids, options.rows, validation_rows=200_000)


def _model_options(model: str, options: Options) -> dict[str, Any]:
    """The two-tower model is the one that the other sides have; the others are as they are by default."""
    if model != "dssm":
        return {}
    return {"hidden_units": HIDDEN, "dropout": 0.0, "embedding_dim": options.embedding_dim}


def _in_a_process(function: Any, *arguments: Any) -> Any:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
