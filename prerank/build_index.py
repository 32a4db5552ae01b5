"""Run a model's item tower over a catalogue once, and keep the states for scoring.

    prerank index --model out/hit [--items items.parquet] [--out out/hit/index]
        [--dtype float32|float16|int8] [--update] [--evaluate rows.parquet]

`--update` replaces the items that the file names in an existing index and adds those that are new; the others stay.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from prerank import index
from prerank.agreement import check_rows, report
from prerank.artefact import Artefact
from prerank.errors import ArtefactError, InputError
from prerank.index import ItemStates
from prerank.items import check_ids, columns, read_table
from prerank.kernels import META_INDEX
from prerank.layout import CATALOGUE, EXAMPLES, INDEX
from prerank.snapshot import lookup_of
from prerank.storage import StorageType, StoredArray
from prerank.terminal import Parser, write
from prerank.threads import limit_threads

_BATCH = 1024


@dataclass(frozen=True)
class Built:
    """What a build did.

    Attributes:
        version: name of the index's new version.
        states: what it holds.
        comparison: lines that compare it with one of float32, if that was asked for.
        replaced: name of the other model whose index lay there before, or None.
        seconds: how long it took, from reading the items to the switch, without the comparison.
    """

    version: str
    states: ItemStates
    comparison: tuple[str, ...]
    replaced: str | None
    seconds: float


def build(
    model: Artefact,
    items: Path,
    out: Path,
    dtype: StorageType | None = None,
    *,
    update: bool = False,
    evaluate: Path | None = None,
) -> Built:
    """Make an index, or a new version of one. It is there as a whole at the end, or as it was before.

    Args:
        model: a decoupled model.
        items: Parquet with every item feature, in raw spelling.
        out: the index.
        dtype: how to store floats; by default float32, or as the index has them with `update`.
        update: keep the present items that `items` does not name.
        evaluate: rows on which an index of fewer bits, built as a whole, is compared with float32 before it counts.

    Raises:
        ArtefactError: the model has no towers; with `update`, there is no index of this model.
        ArtefactError: the items or `evaluate` are files of the export that have changed since.
        InputError: the items lack a column or an id or have a number out of range, `evaluate` cannot be used, or the
            index cannot be written.
    """
    if not model.decoupled:
        raise ArtefactError(f"{model.name} has no towers, its items cannot be cached", path=model.folder)
    model.check_beside(items)
    if evaluate is not None:
        model.check_beside(evaluate)
    start = time.perf_counter()
    with index.writing(out):
        present = index.read(out, model.fingerprint, model.arrays)[1] if update else None
        if present is not None and dtype not in (None, present.dtype):
            raise InputError(f"--dtype {dtype}: the index is of {present.dtype}, build it as a whole", path=out)
        dtype = dtype or (present.dtype if present else "float32")
        ids, exact = _encode(model, items)
        states = ItemStates(ids, {name: StoredArray.encode(array, dtype) for name, array in exact.items()}, dtype)
        if present is not None:
            states = _merge(present, states)
        states, order = _sort(states)
        compare_start = time.perf_counter()
        comparison: tuple[str, ...] = ()
        if evaluate is not None and present is None and dtype != "float32":
            exact = {name: array[:, order] for name, array in exact.items()}
            comparison = tuple(report(model, states, exact, evaluate))
        start += time.perf_counter() - compare_start
        replaced = _other_model(out, model)
        about = {"model": model.name, "scorer": model.features["scorer"], "fingerprint": model.fingerprint}
        try:
            version = index.publish(out, states, about)
        except OSError as error:
            raise InputError(f"--out: cannot write the index: {error.strerror}", path=out) from error
    return Built(version, states, comparison, replaced, time.perf_counter() - start)


def _other_model(out: Path, model: Artefact) -> str | None:
    """Name of another model whose index lies there; one that cannot be read is replaced like any other."""
    try:
        name = index.model_name(out)
    except ArtefactError:
        return None
    return None if name == model.name else name


def _encode(model: Artefact, items: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The items' ids, and what the kernel makes of their states."""
    fields = model.inputs("item")
    table = read_table(items)
    requested = model.features["specification"]["context"]
    for name in (field["name"] for field in fields if field["name"] in requested):
        if name not in table.column_names:
            raise InputError(
                f"column {name!r} is missing: this model takes it for the item's, but only a request knows it, so "
                "items can be cached for one value of it alone; name a file that has the column with --items",
                path=items,
            )
    inputs = columns(table, fields, items)
    number = next(number for number, field in enumerate(fields) if field["name"] == model.item_id)
    ids = inputs[number]
    check_ids(ids, fields[number]["missing"], model.item_id, items)
    batches = [
        model.item_tower([values[start : start + _BATCH] for values in inputs]) for start in range(0, len(ids), _BATCH)
    ]
    states = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is named below
        arranged = model.kernel.arrange(states)
    for part in (*states.values(), *(array.swapaxes(0, 1) for array in arranged.values())):
        wrong = ~np.isfinite(part.reshape(len(ids), -1)).all(axis=1)
        if wrong.any():
            item = ids[int(np.argmax(wrong))].item()
            raise InputError(f"the item {item!r}: its state is not finite, a number of it is out of range", path=items)
    return ids, arranged


def _merge(present: ItemStates, new: ItemStates) -> ItemStates:
    """`present` without the items that `new` has, and `new` after it."""
    kept = np.flatnonzero(lookup_of(new.ids).get_indexer(lookup_of(present.ids)) < 0)
    arrays = {name: array.merge(new.arrays[name], kept) for name, array in present.arrays.items()}
    return ItemStates(np.concatenate([present.ids[kept], new.ids]), arrays, present.dtype)


def _sort(states: ItemStates) -> tuple[ItemStates, np.ndarray]:
    """Items of one meta query side by side, for a model that has them."""
    if META_INDEX not in states.arrays:
        return states, np.arange(len(states.ids))
    order = np.argsort(states.arrays[META_INDEX].values[0, :, 0], kind="stable")
    arrays = {name: array.take(order) for name, array in states.arrays.items()}
    return ItemStates(states.ids[order], arrays, states.dtype), order


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
