"""A calibrated export: SavedModel, ONNX and the NumPy scorer give the same probability, of a formula computed here."""

import json

import numpy as np
import pytest
from artefacts import VOCABULARIES, raw_user, small_options, users, write_items
from support import SPEC, randomise

import models
from export.writer import export, target
from prerank import description
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.errors import ArtefactError
from prerank.items import columns, read_table
from prerank.preranker import PreRanker

MAPS = {
    "temperature": {"kind": "temperature", "temperature": 2.5},
    "isotonic": {"kind": "isotonic", "logits": [-1.5, -0.25, 0.5, 2.0], "probabilities": [0.125, 0.25, 0.25, 0.75]},
    "one_knot": {"kind": "isotonic", "logits": [0.5], "probabilities": [0.25]},
}
IDS = list(range(1, 90))


def expected(kind, log_odds):
    if kind == "temperature":
        return 1 / (1 + np.exp(-log_odds / 2.5))
    return np.interp(log_odds, MAPS[kind]["logits"], MAPS[kind]["probabilities"])


def exported(folder, name, kind, export_format, entire_space=False):
    options = {"entire_space": True} if entire_space else {}
    model = models.build(name, SPEC, small_options(name), **options)
    randomise(model)
    items = write_items(folder / "items.parquet", IDS)
    files = {"catalogue.parquet": items}
    export(model, VOCABULARIES, target(folder / "out"), files, export_format, calibration=MAPS[kind])
    return Artefact(folder / "out")


def forward(artefact, user):
    """The outputs of `serving_default` for one user and every item."""
    names = [field["name"] for field in artefact.inputs()]
    items = artefact.folder / "catalogue.parquet"
    fields = artefact.inputs("item")
    raw = dict(zip([field["name"] for field in fields], columns(read_table(items), fields, items), strict=True))
    raw |= {name: np.repeat(value, len(IDS), axis=0) for name, value in raw_user(user).items()}
    return artefact.signature("serving_default", names)([raw[name] for name in names])


@pytest.mark.parametrize(
    ("kind", "export_format", "entire_space"),
    [
        ("temperature", "onnx", False),
        ("isotonic", "onnx", False),
        ("isotonic", "saved_model", False),
        ("one_knot", "onnx", False),
        ("temperature", "onnx", True),
        ("isotonic", "onnx", True),
    ],
)
def test_all_three_give_the_calibrated_probability(kind, export_format, entire_space, tmp_path):
    artefact, user = exported(tmp_path, "lr", kind, export_format, entire_space), users(1)[0]
    build(artefact, artefact.folder / "catalogue.parquet", artefact.folder / "index", attributes=["movie_id"])
    outputs = forward(artefact, user)
    log_odds = outputs["logit"].astype(np.float64)
    if entire_space:  # logit = log σ(preference) + logit_exposed, and the map is about the preference
        logs = log_odds - outputs["logit_exposed"]
        log_odds = logs - np.log(-np.expm1(logs))
    wanted = expected(kind, log_odds)
    assert np.ptp(wanted) > 0.05 or kind == "one_knot"
    np.testing.assert_allclose(outputs["probability"], wanted, rtol=0, atol=1e-5)
    ranker = PreRanker(artefact.folder)
    found = ranker.score(user, [*IDS, 1000])
    np.testing.assert_allclose(found.scores[:-1], outputs["logit"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.probabilities[:-1], wanted, rtol=0, atol=1e-4)
    assert np.isnan(found.probabilities[-1])
    best = ranker.top(user, 5, value="movie_id")
    np.testing.assert_allclose(best.values, np.sort(wanted * IDS)[::-1][:5], rtol=1e-3)
    described = json.loads((artefact.folder / "features.json").read_text())
    assert (described["calibrated"], described["calibration"], described["format_version"]) == (True, MAPS[kind], 1)
    if entire_space:
        assert [task["calibrated"] for task in described["tasks"]] == [True, False]


def test_a_model_of_one_tower_is_calibrated_too(tmp_path):
    artefact = exported(tmp_path, "deep_fm", "isotonic", "onnx")
    outputs = forward(artefact, users(1)[0])
    np.testing.assert_allclose(outputs["probability"], expected("isotonic", outputs["logit"]), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "format version 2, and this prerank reads up to 1: install a newer"),
        ({"calibration": {"kind": "temperature", "temperature": 0}}, r"calibration\.temperature"),
        ({"calibration": {"kind": "platt"}}, "calibration: .*platt"),
        ({"calibration": {**MAPS["isotonic"], "logits": [1, 1, 2, 3]}}, "calibration: expected ascending logits"),
        (
            {"calibration": {**MAPS["isotonic"], "probabilities": [0.1, 0.2, 0.3, 1.5]}},
            "calibration: expected ascending",
        ),
    ],
)
def test_a_description_of_the_future_or_with_a_wrong_map_is_refused(change, message, tmp_path):
    artefact = exported(tmp_path, "lr", "isotonic", "onnx")
    path = artefact.folder / "features.json"
    path.write_text(description.to_text(json.loads(path.read_text()) | change))
    with pytest.raises(ArtefactError, match=message):
        Artefact(artefact.folder)
