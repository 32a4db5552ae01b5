"""`python -m preprocess.generate --dataset movielens --rows 1000000 --out DIR --seed 0`, or `... requests DIR`."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path

from preprocess.generate import COMMANDS, generator, names
from prerank.errors import InputError
from prerank.terminal import Parser, integers, positive, random_seed


def _parser() -> Parser:
    parser = Parser(
        prog="python -m preprocess.generate",
        description="Write a generated data set. With the name of other data as the first word "
        f"({', '.join(COMMANDS)}), the options are others: see `python -m preprocess.generate {COMMANDS[0]} --help`.",
    )
    parser.add_argument("--dataset", required=True, metavar="NAME", help=f"which: {', '.join(names())}")
    parser.add_argument("--rows", type=positive, help="how many rows (default: a sample that trains in a few minutes)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; must not exist")
    parser.add_argument("--seed", type=random_seed, default=0, help="the same seed gives the same files (default: 0)")
    parser.add_argument(
        "--behaviours", type=integers(0), help="taobao: lines of behavior_log.csv (default: no such file)"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code, 2 after one line on standard error if the input is wrong."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments[:1] and arguments[0] in COMMANDS:
            importlib.import_module(f"preprocess.generate.{arguments[0]}").main(arguments[1:])
            return 0
        options = _parser().parse_args(arguments)
        source = generator(options.dataset)
        rows = source.SAMPLE_ROWS if options.rows is None else options.rows
        more = {} if options.behaviours is None else {"behaviours": options.behaviours}
        if unknown := [name for name in more if name not in inspect.signature(source.generate).parameters]:
            raise InputError(f"--{unknown[0]}: {options.dataset} has no such thing")
        source.generate(options.out, rows=rows, seed=options.seed, **more)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    ceiling = source.ceiling_auc(options.out)
    print(f"{options.out}: {rows} rows; the ceiling (AUC of the true probabilities): {ceiling:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
