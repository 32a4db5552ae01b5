"""What `prerank evaluate` finds: one dictionary, which becomes a table, JSON or an HTML page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prerank.artefact import Artefact
from prerank.encoding import Indexer
from prerank.evaluation import drift, metrics
from prerank.evaluation.rows import Rows, lacking, predict, with_defaults
from prerank.evaluation.slices import slices
from prerank.items import columns, read_table

_RELIABILITY_BINS = 10
_SLICE_METRICS = ("auc", "logloss", "gauc", "ece", "pcoc", "rows", "positives")


def evaluate(model: Artefact, rows: Rows, by: Sequence[str] = (), reference: Path | None = None) -> dict[str, Any]:
    """All that is measured of a model on labelled rows.

    Args:
        model: the exported model.
        rows: the rows.
        by: columns whose values are slices.
        reference: earlier rows that inputs are compared with, or None.

    Returns:
        model, rows (the file), all (every metric), slices, reliability, fields (drift and shares of unseen and missing
        values), defaults (inputs that the file lacks).

    Raises:
        InputError: a column is missing, or a value is wrong.
    """
    outputs = predict(model, rows.table, rows.path)
    everything = np.ones(len(rows), bool)
    unseen = _unseen(model, rows)
    specification = model.features["specification"]
    parts = [(f"{name}={value}", chosen) for name, value, chosen in slices(rows, by)]
    for side in ("user", "item"):
        new = unseen.get(specification[f"{side}_id"])
        if new is not None:
            parts += [(f"seen {side}s", ~new), (f"unseen {side}s", new)]
    return {
        "model": model.name,
        "fingerprint": model.fingerprint,
        "rows": str(rows.path),
        "all": measure(outputs, rows, everything),
        "slices": {name: _shortened(measure(outputs, rows, chosen)) for name, chosen in parts if chosen.any()},
        "reliability": reliability(outputs["probability"], rows),
        "fields": _fields(model, rows, unseen, reference),
        "reference": None if reference is None else str(reference),
        "defaults": lacking(model, rows.table),
    }


def measure(outputs: dict[str, np.ndarray], rows: Rows, chosen: np.ndarray) -> dict[str, float]:
    """Every metric of some rows (n,) bool: ranking by the logit, the rest by the probability, calibrated if it is."""
    labels, users = rows.labels[chosen], rows.users[chosen]
    weights = None if rows.weights is None else rows.weights[chosen]
    probabilities = outputs["probability"][chosen]
    found = metrics.evaluate(labels, outputs["logit"][chosen], users, weights=weights, logits=True)
    found["logloss"] = metrics.log_loss(labels, probabilities, weights)
    found["ece"] = metrics.expected_calibration_error(labels, probabilities, weights=weights)
    found["pcoc"] = metrics.pcoc(labels, probabilities, weights)
    return found


def _shortened(found: dict[str, float]) -> dict[str, float]:
    return {name: found[name] for name in _SLICE_METRICS}


def reliability(probabilities: np.ndarray, rows: Rows) -> list[dict[str, float]]:
    """Mean probability, share of positives and rows of ten parts of equally many rows, from low to high probability."""
    weights = np.ones(len(rows)) if rows.weights is None else rows.weights
    parts = np.array_split(np.argsort(probabilities, kind="stable"), _RELIABILITY_BINS)
    return [
        {
            "probability": float(np.average(probabilities[part], weights=weights[part])),
            "positives": float(np.average(rows.labels[part], weights=weights[part])),
            "rows": len(part),
        }
        for part in parts
        if weights[part].sum() > 0
    ]


def _unseen(model: Artefact, rows: Rows) -> dict[str, np.ndarray]:
    """Which rows (n,) have an id out of vocabulary, by sparse input. Only ONNX exports have vocabularies to look at."""
    if model.features["format"] != "onnx":
        return {}
    indexer = Indexer(model.folder)
    table = with_defaults(model.inputs(), rows.table)
    fields = [field for field in model.inputs() if field["kind"] == "sparse"]
    return {f["name"]: indexer.unseen(f["name"], columns(table, [f], rows.path)[0]) for f in fields}


def _fields(
    model: Artefact, rows: Rows, unseen: dict[str, np.ndarray], reference: Path | None
) -> dict[str, dict[str, float | None]]:
    before = None if reference is None else read_table(reference)
    found: dict[str, dict[str, float | None]] = {}
    for field in model.inputs():
        name = field["name"]
        if name not in rows.table.column_names:
            continue
        values = columns(rows.table, [field], rows.path)[0]
        if field["kind"] == "sequence":
            missing = (values == field["missing"]).all(axis=1)
        else:
            missing = np.isnan(values) if field["kind"] == "dense" else values == field["missing"]
        one: dict[str, float | None] = {"missing": float(missing.mean())}
        one["unseen"] = float(unseen[name].mean()) if name in unseen else None
        one["psi"] = None
        if before is not None and name in before.column_names:
            one["psi"] = drift.of_field(field, before, rows.table, (reference, rows.path))
        found[name] = one
    return found
