"""The commands `prerank evaluate`, `prerank compare` and `prerank predict`.

prerank evaluate --model out/hit --rows new.parquet [--by device,slot] [--reference old.parquet] [--fail_below auc=0.72]
prerank compare --model out/old --with out/new --rows new.parquet [--by device]
prerank predict --model out/hit --rows new.parquet --out scores.parquet [--columns user_id,item_id]
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prerank.errors import InputError
from prerank.terminal import Parser, flag, positive, random_seed, write

_EXIT_GATE = 1
_SHOWN = ("first", "second", "difference")


def _names(text: str) -> list[str]:
    return text.split(",")


def _add_rows(parser: Parser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="exported model")
    parser.add_argument("--rows", type=Path, required=True, help="Parquet of raw features and label")
    parser.add_argument("--label", help="column of labels, 0 or 1; default: the name that the model's data had")
    parser.add_argument("--weight", help="column that says how much a row counts; default: each 1")
    parser.add_argument("--by", type=_names, default=[], metavar="COLUMNS", help="slices, such as device,slot")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="default: table")


def add_evaluate_flags(parser: Parser) -> None:
    """Add the flags of `prerank evaluate`."""
    from prerank.evaluation.gates import gates

    _add_rows(parser)
    parser.add_argument(
        "--reference", type=Path, help="earlier rows, to compare inputs with; default: the model's examples.parquet"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page too")
    for name, side in (("--fail_below", "less"), ("--fail_above", "more")):
        parser.add_argument(
            name,
            type=flag(gates),
            default={},
            metavar="BOUNDS",
            help=f"exit code 1 if a metric is {side}: auc=0.72,...",
        )


def add_compare_flags(parser: Parser) -> None:
    """Add the flags of `prerank compare`."""
    _add_rows(parser)
    parser.add_argument("--with", dest="other", type=Path, required=True, help="the other exported model")
    parser.add_argument("--resamples", type=positive, default=200, help="draws of users; default: 200")
    parser.add_argument("--seed", type=random_seed, default=0, help="of the draws; default: 0")


def add_predict_flags(parser: Parser) -> None:
    """Add the flags of `prerank predict`."""
    parser.add_argument("--model", type=Path, required=True, help="exported model")
    parser.add_argument("--rows", type=Path, required=True, help="Parquet file of raw features")
    parser.add_argument("--out", type=Path, required=True, help="Parquet file to write: the outputs of each row")
    parser.add_argument("--columns", type=_names, default=[], help="columns of the rows to copy, such as user_id")


def _needs_packages() -> None:
    try:
        import pandas  # noqa: F401
        import sklearn  # noqa: F401
    except ImportError as error:
        raise InputError(f"metrics need the package {error.name}: pip install 'prerank[evaluate]'") from error


def evaluate_command(flags: Any, show: Callable[[str], None] = write) -> int:
    """Evaluate an exported model, and return the exit code: 1 if it does not keep to a bound.

    Raises:
        InputError: a flag, the model or the rows are wrong.
    """
    _needs_packages()
    from prerank.artefact import Artefact
    from prerank.evaluation import pages
    from prerank.evaluation.gates import failures
    from prerank.evaluation.report import evaluate
    from prerank.evaluation.rows import read_rows
    from prerank.folders import write_text
    from prerank.layout import EXAMPLES

    model = Artefact(flags.model)
    rows = read_rows(model, flags.rows, flags.label, flags.weight)
    beside = flags.model / EXAMPLES
    reference = flags.reference or (beside if beside.exists() else None)
    found = evaluate(model, rows, flags.by, reference)
    failed = failures(found["all"], flags.fail_below, flags.fail_above)
    if flags.html is not None:
        try:
            write_text(flags.html, pages.to_html(found))
        except OSError as error:
            raise InputError(f"--html: cannot be written: {error.strerror}", path=flags.html) from error
    show(pages.to_json(found) if flags.format == "json" else pages.to_text(pages.tables(found)))
    if found["defaults"]:
        print(f"not in the file, so defaults count: {', '.join(found['defaults'])}", file=sys.stderr)
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return _EXIT_GATE if failed else 0


def compare_command(flags: Any, show: Callable[[str], None] = write) -> None:
    """Compare two exported models on the same rows.

    Raises:
        InputError: a flag, a model or the rows are wrong.
    """
    _needs_packages()
    from prerank.artefact import Artefact
    from prerank.evaluation import pages
    from prerank.evaluation.compare import compare
    from prerank.evaluation.rows import predict, read_rows

    models = [Artefact(folder) for folder in (flags.model, flags.other)]
    rows = read_rows(models[0], flags.rows, flags.label, flags.weight)
    first, second = (predict(model, rows.table, rows.path) for model in models)
    found = compare(first, second, rows, flags.by, flags.resamples, flags.seed)
    if flags.format == "json":
        show(pages.to_json(found))
        return
    header = ["slice", "metric", str(flags.model), str(flags.other), "difference", "95 % from", "to", "users"]
    cells = [
        [name, metric, *(f"{one[key]:.5f}" for key in _SHOWN), *(f"{edge:.5f}" for edge in one["interval"]),
         str(values["users"])]
        for name, values in found.items()
        for metric, one in values.items()
        if isinstance(one, dict)
    ]  # fmt: skip
    show(pages.to_text([("Differences, second less first, over resampled users", header, cells)]))


def predict_command(flags: Any, show: Callable[[str], None] = write) -> None:
    """Score the rows of a file into another, some thousands at a time.

    Raises:
        InputError: a flag, the model or the rows are wrong, or the file cannot be written.
    """
    from prerank.artefact import Artefact
    from prerank.evaluation.streaming import predict_file

    count = predict_file(Artefact(flags.model), flags.rows, flags.out, flags.columns)
    show(f"{flags.out}: {count} rows")
