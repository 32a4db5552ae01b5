"""Run a model's item tower over a catalogue once, and keep the states for scoring."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prerank import index
from prerank.agreement import report
from prerank.artefact import Artefact
from prerank.errors import ArtefactError, InputError
from prerank.index import ItemStates
from prerank.items import check_ids, columns, read_table
from prerank.kernels import META_INDEX
from prerank.layout import StorageType
from prerank.lookup import lookup_of
from prerank.storage import StoredArray

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
    rows = read_table(items)
    requested = model.features["specification"]["context"]
    for name in (field["name"] for field in fields if field["name"] in requested):
        if name not in rows.column_names:
            raise InputError(
                f"column {name!r} is missing: this model takes it for the item's, but only a request knows it, so "
                "items can be cached for one value of it only; name a file that has the column with --items",
                path=items,
            )
    inputs = columns(rows, fields, items)
    number = next(number for number, field in enumerate(fields) if field["name"] == model.item_id)
    ids = inputs[number]
    check_ids(ids, fields[number]["missing"], model.item_id, rows, items)
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
    kept = np.flatnonzero(lookup_of(new.ids).positions(present.ids) < 0)
    arrays = {name: array.merge(new.arrays[name], kept) for name, array in present.arrays.items()}
    return ItemStates(np.concatenate([present.ids[kept], new.ids]), arrays, present.dtype)


def _sort(states: ItemStates) -> tuple[ItemStates, np.ndarray]:
    """Items of one meta query side by side, for a model that has them."""
    if META_INDEX not in states.arrays:
        return states, np.arange(len(states.ids))
    order = np.argsort(states.arrays[META_INDEX].values[0, :, 0], kind="stable")
    arrays = {name: array.take(order) for name, array in states.arrays.items()}
    return ItemStates(states.ids[order], arrays, states.dtype), order
