"""Serving of the entire-space factorisation: kernel, index storage, exported signatures and answers."""

import json

import numpy as np
import pytest
from artefacts import VOCABULARIES, saved_model_scores, small_options, users, write_items
from support import SPEC, random_batch, randomise

import models
from export.writer import export, target
from models import PreRankingModel
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.fallback import ExportedScorer
from prerank.kernels import make_kernel
from prerank.kernels.entire_space import EntireSpace, log_sigmoid
from prerank.preranker import PreRanker

IDS = range(1, 90, 2)
DECOUPLED = [
    name
    for name in models.names()
    if models.get(name).decoupled
    and models.get(name).calibrated
    and models.get(name).model.fit_directly is PreRankingModel.fit_directly
]


def build_model(name):
    model = models.build(name, SPEC, small_options(name), entire_space=True)
    randomise(model)
    popularity = np.random.default_rng(3).normal(-8, 2, SPEC["movie_id"].vocabulary_size)
    model.set_popularity(popularity.astype(np.float32))
    return model


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Folders of exports with an index of items, made once."""
    made = {}

    def get(name, export_format="saved_model"):
        if (name, export_format) not in made:
            folder = tmp_path_factory.mktemp("out")
            export(build_model(name), VOCABULARIES, target(folder / "out"), {}, export_format)
            items = write_items(folder / "items.parquet", IDS)
            build(Artefact(folder / "out"), items, folder / "out" / "index")
            made[name, export_format] = folder
        return made[name, export_format]

    return get


@pytest.mark.parametrize("name", DECOUPLED)
def test_kernel_agrees_with_the_model(name):
    model = build_model(name)
    inputs, _ = random_batch(SPEC, 50)
    of_users, of_items = model.user_tower(inputs), model.item_tower(inputs)
    spec = model.scorer_spec()
    assert spec.kind.startswith("entire_space/")
    kernel = make_kernel(spec.kind, {**spec.weights, "bias": model.bias.numpy()})
    arranged = kernel.arrange({name: value.numpy() for name, value in of_items.items()})
    for row in range(3):
        expected = model.named_scores({name: value[row : row + 1] for name, value in of_users.items()}, of_items)
        assert np.std(expected["logit"]) > 0.1
        assert np.std(expected["probability"]) > 1e-3
        found = kernel.score(kernel.prepare({name: value[row].numpy() for name, value in of_users.items()}), arranged)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found[0], expected["logit"], rtol=0, atol=1e-4)
        np.testing.assert_allclose(np.exp(found[1]), expected["probability"], rtol=0, atol=1e-5)


def test_log_sigmoid_of_numbers_near_and_far():
    numbers = np.array([0, 1e-6, -1e-6, 3, -3, 20, -20, 88, -88, 1e4, -1e4], np.float32)
    wide = numbers.astype(np.float64)
    expected = np.where(wide > 0, -np.log1p(np.exp(-np.abs(wide))), wide - np.log1p(np.exp(-np.abs(wide))))
    found = np.empty_like(numbers)
    log_sigmoid(numbers, found)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-7)


@pytest.mark.parametrize("export_format", ["saved_model", "onnx"])
@pytest.mark.parametrize("name", ["dssm", "fit"])
def test_answers_rank_by_the_logit_and_give_the_probability(name, export_format, exported):
    if export_format == "onnx":
        pytest.importorskip("tf2onnx")
    folder = exported(name, export_format)
    reference = Artefact(exported(name) / "out")
    ranker = PreRanker(folder / "out")
    some = [51, 3, 7, 89, 1]
    for user in users(3):
        outputs = {key: saved_model_scores(reference, user, exported(name) / "items.parquet", key) for key in OUTPUTS}
        best = ranker.top(user, len(IDS))
        ids = best.ids.tolist()
        np.testing.assert_allclose(best.scores, [outputs["logit"][i] for i in ids], rtol=0, atol=1e-4)
        np.testing.assert_allclose(best.probabilities, [outputs["probability"][i] for i in ids], rtol=0, atol=1e-5)
        assert np.all(np.diff(best.scores) <= 0)
        assert not np.all(np.diff(best.probabilities) <= 0), "the two orders would not be told apart"
        found = ranker.score(user, [*some, 4])
        np.testing.assert_allclose(found.scores[:-1], [outputs["logit"][i] for i in some], rtol=0, atol=1e-4)
        np.testing.assert_allclose(found.probabilities[:-1], [outputs["probability"][i] for i in some], atol=1e-5)
        assert np.isnan([found.scores[-1], found.probabilities[-1]]).all()
        for i in IDS:
            product = np.log(outputs["probability"][i]) + outputs["logit_exposed"][i]
            assert outputs["logit"][i] == pytest.approx(product, abs=1e-4)


OUTPUTS = ("logit", "probability", "logit_exposed", "probability_exposed")


@pytest.mark.parametrize(("dtype", "most"), [("float16", 0.02), ("int8", 0.1)])
def test_an_index_of_fewer_bits(dtype, most, exported, tmp_path):
    """The bias of the exposure is far larger than the vectors' numbers, and would be lost in a row of int8."""
    folder = exported("dssm")
    model = Artefact(folder / "out")
    assert isinstance(model.kernel, EntireSpace)
    rows = build(model, folder / "items.parquet", tmp_path / "index", dtype)
    assert rows.states.arrays["exposure"].values.dtype == dtype
    assert rows.states.arrays["exposure_bias"].values.dtype == np.float32
    exact, stored = PreRanker(folder / "out"), PreRanker(folder / "out", tmp_path / "index")
    for user in users(3):
        expected, found = exact.score(user, list(IDS)), stored.score(user, list(IDS))
        np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=most)
        np.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=0, atol=most)
        assert np.abs(found.scores - expected.scores).max() > 0


def test_a_model_without_a_kernel_is_scored_by_its_saved_model(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(models.get("dssm").model, "scorer_spec", models.TwoTowerModel.scorer_spec)
    export(build_model("dssm"), VOCABULARIES, target(tmp_path / "out"), {})
    items = write_items(tmp_path / "items.parquet", IDS)
    model = Artefact(tmp_path / "out")
    assert isinstance(model.kernel, ExportedScorer)
    build(model, items, tmp_path / "out" / "index")
    found, expected = (PreRanker(place / "out").score(users(1)[0], list(IDS)) for place in (tmp_path, exported("dssm")))
    np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=0, atol=1e-5)


def test_features_json_lists_the_tasks(exported):
    described = json.loads((exported("dssm") / "out" / "features.json").read_text())
    assert (described["log_odds"], described["calibrated"]) == (True, False)
    assert [(task["name"], task["probability"], task["log_odds"]) for task in described["tasks"]] == [
        ("positive", "probability", True),
        ("exposed", "probability_exposed", False),
    ]
    assert described["scorer"] == "entire_space/cosine"
    assert set(described["outputs"]["serving_default"]) == set(described["outputs"]["score"]) == set(OUTPUTS)
    assert described["outputs"]["item_tower"] == {"item_vector": [None, 8], "item_exposure": [None, 5]}


def test_a_ranker_is_exported_with_all_outputs(tmp_path):
    place = target(tmp_path / "out")
    export(build_model("dcn_v2"), VOCABULARIES, place, {})
    described = json.loads((place / "features.json").read_text())
    assert set(described["outputs"]) == {"serving_default"}
    assert set(described["outputs"]["serving_default"]) == set(OUTPUTS)
    assert [task["name"] for task in described["tasks"]] == ["positive", "exposed"]
