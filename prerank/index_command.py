"""The command `prerank index`: build or update an item index.

    prerank index --model out/hit [--items items.parquet] [--out out/hit/index]
        [--dtype float32|float16|int8] [--update] [--remove ids.txt] [--attributes category,price] [--keep 1]
        [--evaluate rows.parquet] [--refresh_means new_rows.parquet [--label clicked]]
    prerank index --model out/uni_match --users users.parquet --out out/users
    prerank rollback --model out/hit [--out out/hit/index] [--to v000001]

`--update` replaces the items that the file names in an existing index and adds those that are new; the others stay.
`--remove` takes items out, with `--update` in the same new version. `--users` makes an index of users, from which
`PreRanker.top_users` takes the best for an item. `--refresh_means` counts new rows into the mean
labels of items, see :mod:`prerank.item_means`.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from prerank.errors import InputError
from prerank.layout import CATALOGUE, EXAMPLES, INDEX, StorageType
from prerank.terminal import Parser, integers, write
from prerank.threads import limit_threads

if TYPE_CHECKING:
    import numpy as np

    from prerank.artefact import Artefact


def add_flags(parser: Parser) -> None:
    """Add the flags of `prerank index`."""
    parser.add_argument("--model", type=Path, required=True, help="exported model")
    parser.add_argument("--items", type=Path, help="Parquet with every item feature; default: the model's catalogue")
    parser.add_argument("--users", type=Path, help="index users in place of items: Parquet with every user feature")
    parser.add_argument("--out", type=Path, help="folder of the index; default: index, in the model's folder")
    parser.add_argument("--dtype", choices=get_args(StorageType), help="how to store floats; default: float32")
    parser.add_argument("--update", action="store_true", help="replace or add the items of the file, keep the others")
    parser.add_argument("--remove", type=Path, metavar="FILE", help="ids to take out, one a line; - is standard input")
    parser.add_argument(
        "--attributes",
        type=lambda text: text.split(","),
        metavar="NAMES",
        help="columns of the items to store for filters, values and caps, such as category,price",
    )
    parser.add_argument(
        "--refresh_means",
        type=Path,
        metavar="ROWS",
        help="Parquet of all rows since the export, item id and label: give items the means that follow from them",
    )
    parser.add_argument("--label", help="with --refresh_means: column of labels, 0 or 1; default: the data set's name")
    parser.add_argument(
        "--keep", type=integers(0), default=0, metavar="N", help="earlier versions to keep for rollback; default: 0"
    )
    parser.add_argument(
        "--evaluate",
        type=Path,
        help="Parquet of raw features and label, on which a --dtype is compared with float32; default: the model's",
    )


def add_rollback_flags(parser: Parser) -> None:
    """Add the flags of `prerank rollback`."""
    parser.add_argument("--model", type=Path, required=True, help="exported model")
    parser.add_argument("--out", type=Path, help="folder of the index; default: index, in the model's folder")
    parser.add_argument("--to", metavar="VERSION", help="default: the newest version before the current one")


def rollback_command(flags: Any, show: Callable[[str], None] = write) -> None:
    """Make an earlier version of an index the current one.

    Raises:
        InputError: there is no such version, or it cannot be used.
    """
    from prerank import index
    from prerank.artefact import Artefact

    model, out = Artefact(flags.model), flags.out or flags.model / INDEX
    before = index.current(out)
    with index.writing(out, keep=sys.maxsize):
        version = index.roll_back(out, model.fingerprint, model.arrays if model.decoupled else None, flags.to)
    show(f"{out}: {version} counts again instead of {before}")


def index_command(flags: Any, show: Callable[[str], None] = write) -> None:
    """Build or update an index as the command line's flags say.

    Raises:
        InputError: see :func:`build`.
    """
    # what reads Parquet and computes is imported here, so that `--help` does not wait for it
    from prerank.agreement import check_rows
    from prerank.artefact import Artefact
    from prerank.build_index import build
    from prerank.reversed_artefact import ReversedArtefact

    _check_users(flags)
    limit_threads()
    model = Artefact(flags.model) if flags.users is None else ReversedArtefact(flags.model)
    items = flags.users or flags.items or flags.model / CATALOGUE
    out = flags.out or flags.model / INDEX
    if flags.refresh_means is not None:
        _refresh_means(model, flags, items, out, show)
        return
    if flags.label is not None:
        raise InputError("--label needs --refresh_means")
    rows = flags.evaluate or flags.model / EXAMPLES
    if flags.evaluate is not None:
        check_rows(model, rows)
    evaluate = rows if flags.evaluate is not None or rows.exists() and flags.users is None else None
    remove = None
    if flags.remove is not None:
        remove = _removed_ids(model, flags.remove)
        if not flags.update:
            _remove_only(model, flags, out, remove, show)
            return
    built = build(
        model,
        items,
        out,
        flags.dtype,
        evaluate=evaluate,
        update=flags.update,
        remove=remove,
        attributes=flags.attributes,
        keep=flags.keep,
    )
    states, kind = built.states, "item" if flags.users is None else "user"
    if built.replaced is not None:
        show(f"{out}: held an index of the model {built.replaced}, which this one of {model.name} replaces")
    show(
        f"{out / built.version}: {len(states.ids)} {kind}s, {states.dtype}, {states.bytes_per_item} bytes "
        f"{'an item' if kind == 'item' else 'a user'}, {built.seconds:.2f} s"
    )
    if states.dtype == "float32":
        if flags.evaluate is not None:
            show("nothing to compare with float32: the index is of float32, --evaluate is for --dtype float16 and int8")
        return
    if kind == "user":
        show("not compared with float32: rows tell how well items are ordered for users only")
        return
    if flags.update:
        show("not compared with float32: only the updated items' float32 states are known, build the index as a whole")
        return
    if evaluate is None:
        show(f"not compared with float32: there is no {rows}, name users with --evaluate")
        return
    for line in built.comparison:
        show(line)


def _refresh_means(model: "Artefact", flags: Any, items: Path, out: Path, show: Callable[[str], None]) -> None:
    """Give items of an index the means that follow from new rows, and change nothing else."""
    from prerank.build_index import refresh_means
    from prerank.item_means import refreshed

    for name in ("users", "update", "remove", "dtype", "attributes", "evaluate"):
        if getattr(flags, name):
            raise InputError(f"--{name}: cannot be given with --refresh_means, which changes nothing but means")
    means = refreshed(model, flags.refresh_means, flags.label)
    built, count = refresh_means(model, means, items, out, flags.keep)
    what = f"{count} of {len(built.states)} items have a new {means.field}, from {means.rows} rows"
    show(f"{out / built.version}: {what}, {built.seconds:.2f} s")


def _check_users(flags: Any) -> None:
    """See that an index of users is asked for as a whole, and not in the place of the index of items."""
    if flags.users is None:
        return
    if flags.out is None:
        raise InputError("--users: needs --out, as the default folder is that of the items")
    for name in ("items", "evaluate"):
        if getattr(flags, name) is not None:
            raise InputError(f"--{name}: expected an index of items. Received: --users too")


def _removed_ids(model: "Artefact", path: Path) -> "np.ndarray":
    from prerank.id_files import read_ids
    from prerank.requests import item_ids

    kind = next(field["dtype"] for field in model.inputs("item") if field["name"] == model.item_id)
    return item_ids(read_ids(path, kind, "--remove"), kind, "--remove")


def _remove_only(model: "Artefact", flags: Any, out: Path, ids: "np.ndarray", show: Callable[[str], None]) -> None:
    """Take items out of an index and change nothing else."""
    from prerank.build_index import remove_items

    for name in ("items", "dtype", "attributes", "evaluate"):
        if getattr(flags, name) is not None:
            raise InputError(
                f"--{name}: needs --update beside --remove, which takes items out and changes nothing else"
            )
    built, count = remove_items(model, out, ids, flags.keep)
    show(
        f"{out / built.version}: {count} of {len(ids)} ids taken out, {len(built.states)} items left, "
        f"{built.seconds:.2f} s"
    )
