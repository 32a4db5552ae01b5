"""The command `prerank index`: build or update an item index.

    prerank index --model out/hit [--items items.parquet] [--out out/hit/index]
        [--dtype float32|float16|int8] [--update] [--evaluate rows.parquet]

`--update` replaces the items that the file names in an existing index and adds those that are new; the others stay.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from prerank.layout import CATALOGUE, EXAMPLES, INDEX, StorageType
from prerank.terminal import Parser, write
from prerank.threads import limit_threads


def add_flags(parser: Parser) -> None:
    """Add the flags of `prerank index`."""
    parser.add_argument("--model", type=Path, required=True, help="exported model")
    parser.add_argument("--items", type=Path, help="Parquet with every item feature; default: the model's catalogue")
    parser.add_argument("--out", type=Path, help="folder of the index; default: index, in the model's folder")
    parser.add_argument("--dtype", choices=get_args(StorageType), help="how to store floats; default: float32")
    parser.add_argument("--update", action="store_true", help="replace or add the items of the file, keep the others")
    parser.add_argument(
        "--evaluate",
        type=Path,
        help="Parquet of raw features and label, on which a --dtype is compared with float32; default: the model's",
    )


def index_command(flags: Any, show: Callable[[str], None] = write) -> None:
    """Build or update an index as the command line's flags say.

    Raises:
        InputError: see :func:`build`.
    """
    # what reads Parquet and computes is imported here, so that `--help` does not wait for it
    from prerank.agreement import check_rows
    from prerank.artefact import Artefact
    from prerank.build_index import build

    limit_threads()
    model = Artefact(flags.model)
    items, out = flags.items or flags.model / CATALOGUE, flags.out or flags.model / INDEX
    rows = flags.evaluate or flags.model / EXAMPLES
    if flags.evaluate is not None:
        check_rows(model, rows)
    evaluate = rows if flags.evaluate is not None or rows.exists() else None
    built = build(model, items, out, flags.dtype, update=flags.update, evaluate=evaluate)
    states = built.states
    if built.replaced is not None:
        show(f"{out}: held an index of the model {built.replaced}, which this one of {model.name} replaces")
    show(
        f"{out / built.version}: {len(states.ids)} items, {states.dtype}, {states.bytes_per_item} bytes an item, "
        f"{built.seconds:.2f} s"
    )
    if states.dtype == "float32":
        if flags.evaluate is not None:
            show("nothing to compare with float32: the index is of float32, --evaluate is for --dtype float16 and int8")
        return
    if flags.update:
        show("not compared with float32: only the updated items' float32 states are known, build the index as a whole")
        return
    if evaluate is None:
        show(f"not compared with float32: there is no {rows}, name users with --evaluate")
        return
    for line in built.comparison:
        show(line)
