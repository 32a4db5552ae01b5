"""Serving of several tasks: kernel, exported signatures, calibration of each task, and answers."""

import json

import numpy as np
import pytest
from artefacts import VOCABULARIES, saved_model_scores, small_options, users, write_items
from support import SPEC, random_batch, randomise

import models
from export.writer import export, target
from models.task_options import TaskOptions
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.errors import ArtefactError
from prerank.fallback import ExportedScorer
from prerank.kernels import make_kernel
from prerank.preranker import PreRanker

IDS = range(1, 90, 2)
TASKS = ("click", "no_click", "order")
"""The name of one ends another's."""
DECOUPLED = [
    name
    for name in models.names()
    if models.get(name).several_tasks and models.get(name).decoupled and name != "target_means"
]
TEMPERATURE = {"kind": "temperature", "temperature": 2.0}
KNOTS = {"kind": "isotonic", "logits": [-1.0, 0.0, 2.0], "probabilities": [0.125, 0.25, 0.75]}


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def build_model(name, esmm=False):
    tasks = TaskOptions(tasks=TASKS, esmm=esmm, rank_by="order")
    model = models.build(name, SPEC, small_options(name), tasks=tasks)
    randomise(model)
    return model


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Folders of exports with an index of items, made once."""
    made = {}

    def get(name, export_format="saved_model"):
        if (name, export_format) not in made:
            folder = tmp_path_factory.mktemp("out")
            maps = {"click": TEMPERATURE, "no_click": None, "order": KNOTS}
            export(
                build_model(name, esmm=True),
                VOCABULARIES,
                target(folder / "out"),
                {},
                export_format,
                calibration=KNOTS,
                task_calibrations=maps,
            )
            items = write_items(folder / "items.parquet", IDS)
            build(Artefact(folder / "out"), items, folder / "out" / "index", attributes=["item_mean_rating"])
            made[name, export_format] = folder
        return made[name, export_format]

    return get


@pytest.mark.parametrize("esmm", [False, True])
@pytest.mark.parametrize("name", DECOUPLED)
def test_kernel_agrees_with_the_model(name, esmm):
    if esmm and not models.get(name).calibrated:
        pytest.skip("refused")
    model = build_model(name, esmm)
    inputs, _ = random_batch(SPEC, 50)
    of_users, of_items = model.user_tower(inputs), model.item_tower(inputs)
    spec = model.scorer_spec()
    kernel = make_kernel(spec.kind, {**spec.weights, "bias": model.bias.numpy()})
    assert kernel.tasks == ("order", "click", "no_click")
    arranged = kernel.arrange({name: value.numpy() for name, value in of_items.items()})
    for row in range(3):
        expected = model.named_scores({name: value[row : row + 1] for name, value in of_users.items()}, of_items)
        found = kernel.score(kernel.prepare({name: value[row].numpy() for name, value in of_users.items()}), arranged)
        assert found.dtype == np.float32
        for task, logits in zip(kernel.tasks, found, strict=True):
            assert np.std(expected[f"logit_{task}"]) > 1e-3, "a difference would not be noticed"
            np.testing.assert_allclose(logits, expected[f"logit_{task}"], rtol=0, atol=2e-4)


@pytest.mark.parametrize(("name", "export_format"), [("dssm", "saved_model"), ("dssm", "onnx"), ("fit", "onnx")])
def test_answers_rank_by_the_task_that_was_said_and_tell_of_all(name, export_format, exported):
    if export_format == "onnx":
        pytest.importorskip("tf2onnx")
    folder = exported(name, export_format)
    model, (user, other) = build_model(name, esmm=True), users(2)
    ranker = PreRanker(folder / "out")
    best = ranker.top(user, 10)
    assert list(best.task_scores) == ["order", "click", "no_click"]
    np.testing.assert_array_equal(best.scores, best.task_scores["order"])
    assert np.all(np.diff(best.scores) <= 0)
    assert not np.all(np.diff(best.task_scores["click"]) <= 0), "the two orders would not be told apart"
    click, no_click = (sigmoid(best.task_scores[task]) for task in ("click", "no_click"))
    assert (no_click < click).all(), "each task includes the next"
    found = best.task_probabilities
    np.testing.assert_allclose(found["click"], sigmoid(best.task_scores["click"] / 2), rtol=1e-5)
    np.testing.assert_allclose(found["no_click"], no_click, rtol=1e-5)
    np.testing.assert_allclose(found["order"], np.interp(best.scores, KNOTS["logits"], KNOTS["probabilities"]), 1e-5)
    np.testing.assert_array_equal(found["order"], best.probabilities)
    valued = ranker.top(user, len(IDS), value="item_mean_rating")
    assert np.all(np.diff(valued.values) <= 0)
    first = valued.to_dict()["items"][0]
    assert set(first) == {"id", "logit", "probability", "value"} | {
        f"{kind}_{task}" for task in TASKS for kind in ("logit", "probability")
    }
    if export_format == "saved_model":
        reference = {
            key: saved_model_scores(Artefact(folder / "out"), user, folder / "items.parquet", key)
            for key in ("logit", "probability", *(f"probability_{task}" for task in TASKS))
        }
        ids = best.ids.tolist()
        np.testing.assert_allclose(best.scores, [reference["logit"][one] for one in ids], rtol=0, atol=1e-4)
        np.testing.assert_allclose(best.probabilities, [reference["probability"][one] for one in ids], atol=1e-5)
        for task in TASKS:
            of_model = [reference[f"probability_{task}"][one] for one in ids]
            np.testing.assert_allclose(found[task], of_model, rtol=0, atol=1e-5)
    some = ranker.score(other, [3, 4, 5])
    assert np.isnan(some.task_scores["click"][1])
    assert some.unknown == (4,)
    assert model.name == ranker.model_name


def test_onnx_answers_as_the_saved_model(exported):
    pytest.importorskip("tf2onnx")
    plain, onnx = (PreRanker(exported("dssm", kind) / "out") for kind in ("saved_model", "onnx"))
    for user in users(3):
        ids = list(IDS)
        one, two = plain.score(user, ids), onnx.score(user, ids)
        for task in TASKS:
            np.testing.assert_allclose(one.task_scores[task], two.task_scores[task], rtol=0, atol=1e-4)
            np.testing.assert_allclose(one.task_probabilities[task], two.task_probabilities[task], rtol=0, atol=1e-5)


def test_the_export_describes_the_tasks(exported):
    described = json.loads((exported("dssm") / "out" / "features.json").read_text())
    assert [task["name"] for task in described["tasks"]] == list(TASKS)
    assert [task["ranks"] for task in described["tasks"]] == [False, False, True]
    assert [task["calibrated"] for task in described["tasks"]] == [True, False, True]
    assert described["tasks"][0] == {
        "name": "click",
        "logit": "logit_click",
        "probability": "probability_click",
        "log_odds": True,
        "ranks": False,
        "calibrated": True,
        "calibration": TEMPERATURE,
    }
    assert described["scorer"] == "esmm/cosine"
    states = set(described["outputs"]["item_tower"])
    assert states == {f"item_vector_{task}" for task in TASKS}


def test_a_model_without_a_kernel_is_run_as_it_was_exported(exported):
    folder = exported("dssm") / "out"
    model = Artefact(folder)
    outputs = model.features["outputs"]
    states = [name for tower in ("user_tower", "item_tower") for name in outputs[tower]]
    scorer = ExportedScorer(model.signature("score", states), outputs, tuple(model.task_calibrations))
    random = np.random.default_rng(0)

    def made(tower, rows):
        return {
            name: random.normal(size=(rows, *shape[1:])).astype(np.float32) for name, shape in outputs[tower].items()
        }

    user, items = made("user_tower", 1), made("item_tower", 9)
    state = {name: value[0] for name, value in user.items()}
    found = scorer.score(scorer.prepare(state), scorer.arrange(items))
    expected = model.kernel.score(model.kernel.prepare(state), model.kernel.arrange(items))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_weights_that_do_not_say_the_tasks_are_refused():
    spec = build_model("dssm").scorer_spec()
    lacking = {name: value for name, value in spec.weights.items() if name != "tasks"}
    for weights in (lacking, spec.weights | {"ranking_task": np.array("like")}, spec.weights | {"tasks": np.arange(2)}):
        with pytest.raises(ArtefactError, match="it does not say which tasks there are"):
            make_kernel(spec.kind, weights)
    with pytest.raises(ArtefactError, match="there is no such kernel or weight: 'bias'"):
        make_kernel(spec.kind, {name: value for name, value in spec.weights.items() if name != "click.bias"})
