"""Run a model's item tower over a catalogue once, and keep the states for scoring."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from prerank import index
from prerank.agreement import report
from prerank.artefact import Artefact
from prerank.attributes import Attribute, read_attributes
from prerank.errors import ArtefactError, InputError
from prerank.item_states import ItemStates
from prerank.items import check_ids, columns, read_table
from prerank.kernels import is_meta_index
from prerank.layout import StorageType
from prerank.lookup import lookup_of
from prerank.storage import StoredArray

_BATCH = 1024
_MOST_REMOVED = 0.2
"""Share of places without an item from which on a version is written without them."""


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
    evaluate: Path | None = None,
    update: bool = False,
    remove: np.ndarray | None = None,
    attributes: Sequence[str] | None = None,
    keep: int = 0,
) -> Built:
    """Make an index, or a new version of one. It is there as a whole at the end, or as it was before.

    Args:
        model: a decoupled model.
        items: Parquet with every item feature, in raw spelling.
        out: the index.
        dtype: how to store floats; by default float32, or as the index has them with `update`.
        evaluate: rows on which an index of fewer bits, built as a whole, is compared with float32 before it counts.
        update: keep the present items that `items` does not name; their states are not computed again.
        remove: with `update`, ids of items to take out.
        attributes: columns of `items` to store with the items; with `update` those that the index has.
        keep: how many earlier versions to keep.

    Raises:
        ArtefactError: the model has no towers; with `update`, there is no index of this model.
        ArtefactError: the items or `evaluate` are files of the export that have changed since.
        InputError: the items lack a column or an id or have a number out of range, `evaluate` cannot be used, or the
            index cannot be written.
    """
    _check_towers(model)
    model.check_beside(items)
    if evaluate is not None:
        model.check_beside(evaluate)
    start = time.perf_counter()
    with index.writing(out, keep=keep):
        present = index.read(out, model.fingerprint, model.arrays)[1] if update else None
        if present is not None and dtype not in (None, present.dtype):
            raise InputError(f"--dtype {dtype}: the index is of {present.dtype}, build it as a whole", path=out)
        dtype = dtype or (present.dtype if present else "float32")
        names = _attribute_names(present, attributes, out)
        ids, exact, stored = _encode(model, items, names)
        encoded = {name: StoredArray.encode(array, dtype) for name, array in exact.items()}
        states = ItemStates(ids, encoded, dtype, stored)
        if present is not None:
            states = _merge(present, states, remove, items)
        states, order = _sort(states)
        compare_start = time.perf_counter()
        comparison: tuple[str, ...] = ()
        if evaluate is not None and present is None and dtype != "float32":
            exact = {name: array[:, order] for name, array in exact.items()}
            comparison = tuple(report(model, states, exact, evaluate))
        start += time.perf_counter() - compare_start
        replaced = _other_model(out, model)
        with _writable(out):
            version = index.publish(out, states, _about(model), keep)
    return Built(version, states, comparison, replaced, time.perf_counter() - start)


def remove_items(model: Artefact, out: Path, ids: np.ndarray, keep: int = 0) -> tuple[Built, int]:
    """Take items out of an index, in a new version. No state is computed, and most files are linked, not copied.

    Places of items that are gone are kept until they are more than a fifth of all.

    Args:
        model: whose index it is.
        out: the index.
        ids: (n,) ids; those that the index does not hold make no difference.
        keep: how many earlier versions to keep.

    Returns:
        What was built, and how many items were taken out.

    Raises:
        ArtefactError: the model has no towers, or there is no index of this model.
        InputError: no item would be left, or the index cannot be written.
    """
    _check_towers(model)
    start = time.perf_counter()
    with index.writing(out, keep=keep):
        _, present = index.read(out, model.fingerprint, model.arrays)
        places = lookup_of(present.ids).positions(ids)
        removed = np.union1d(present.removed, places[places >= 0])
        count = len(removed) - len(present.removed)
        if len(removed) == len(present.ids):
            raise InputError("--remove: no item would be left", path=out)
        with _writable(out):
            if len(removed) > _MOST_REMOVED * len(present.ids):
                states = present.take(np.setdiff1d(np.arange(len(present.ids)), removed, assume_unique=True))
                version = index.publish(out, states, _about(model), keep)
            else:
                states = replace(present, removed=removed)
                version = index.publish_without(out, removed, keep)
    return Built(version, states, (), None, time.perf_counter() - start), count


def _check_towers(model: Artefact) -> None:
    if not model.decoupled:
        raise ArtefactError(f"{model.name} has no towers, its items cannot be cached", path=model.folder)


def _about(model: Artefact) -> dict[str, Any]:
    return {"model": model.name, "scorer": model.features["scorer"], "fingerprint": model.fingerprint}


@contextmanager
def _writable(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"--out: cannot write the index: {error.strerror}", path=out) from error


def _attribute_names(present: ItemStates | None, wanted: Sequence[str] | None, out: Path) -> Sequence[str]:
    if present is None:
        return wanted or ()
    if wanted is not None and sorted(wanted) != sorted(present.attributes):
        has = ", ".join(sorted(present.attributes)) or "none"
        raise InputError(f"--attributes: the index has {has}, build it as a whole for others", path=out)
    return list(present.attributes)


def _other_model(out: Path, model: Artefact) -> str | None:
    """Name of another model whose index lies there; one that cannot be read is replaced like any other."""
    try:
        name = index.model_name(out)
    except ArtefactError:
        return None
    return None if name == model.name else name


def _encode(
    model: Artefact, items: Path, attributes: Sequence[str]
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, Attribute]]:
    """The items' ids, what the kernel makes of their states, and their attributes."""
    fields = model.inputs("item")
    rows = read_table(items)
    requested = model.features["specification"]["context"]
    for name in (field["name"] for field in fields if field["name"] in requested):
        if model.asks == "user" and name not in rows.column_names:
            raise InputError(
                f"column {name!r} is missing: this model takes it for the item's, but only a request knows it, so "
                "items can be cached for one value of it only; name a file that has the column with --items",
                path=items,
            )
    stored = read_attributes(rows, attributes, fields, items)
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
    return ids, arranged, stored


def _merge(present: ItemStates, new: ItemStates, remove: np.ndarray | None, items: Path) -> ItemStates:
    """`present` without the items that `new` has and those to be taken out, and `new` after it."""
    lookup = lookup_of(new.ids)
    gone = lookup.positions(present.ids) >= 0
    gone[present.removed] = True
    if remove is not None:
        if (both := lookup.positions(remove) >= 0).any():
            item = remove[both].tolist()[0]
            raise InputError(f"--remove: the item {item!r} is also one to update; name it in one of both", path=items)
        places = lookup_of(present.ids).positions(remove)
        gone[places[places >= 0]] = True
    rest = present.take(np.flatnonzero(~gone))
    arrays = {name: array.concatenate(new.arrays[name]) for name, array in rest.arrays.items()}
    for name, attribute in new.attributes.items():
        before = rest.attributes[name]
        if (before.kind, before.offsets is None) != (attribute.kind, attribute.offsets is None):
            raise InputError(f"--attributes: {name} is of {attribute.kind}, and of {before.kind} before", path=items)
    attributes = {name: attribute.merge(new.attributes[name]) for name, attribute in rest.attributes.items()}
    return ItemStates(np.concatenate([rest.ids, new.ids]), arrays, present.dtype, attributes)


def _sort(states: ItemStates) -> tuple[ItemStates, np.ndarray]:
    """Items of one meta query side by side, for a model that has them; of several tasks, of the first one's."""
    name = next(filter(is_meta_index, states.arrays), None)
    if name is None:
        return states, np.arange(len(states.ids))
    order = np.argsort(states.arrays[name].values[0, :, 0], kind="stable")
    return states.take(order), order
