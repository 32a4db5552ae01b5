"""Every scorer in NumPy against the exported `score`. A decoupled model is tested by being registered."""

import numpy as np
import pytest
from artefacts import export_small, saved_model_scores, small_options, users, write_items
from support import SPEC, random_batch, randomise

import models
from models.base import TwoTowerModel
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.fallback import ExportedScorer
from prerank.kernels import make_kernel
from prerank.preranker import PreRanker

DECOUPLED = [name for name in models.names() if models.get(name).decoupled and models.get(name).exportable]
OPTIONS = [
    *(
        (name, {"similarity": similarity})
        for name in ("dssm", "dat", "mvke", "poly_encoder")
        for similarity in ("cosine", "dot")
    ),
    ("hit", {"similarity": "dot", "user_heads": 3, "item_heads": 1}),
    ("hit", {"generation_loss": "none", "user_heads": 1, "item_heads": 4}),
    ("int_tower", {"only_last_layer": True}),
    ("int_tower", {"similarity": "dot", "item_heads": 3}),
    ("fit", {"user_heads": 2, "item_heads": 3, "scorer_width": 5, "meta_vectors": 3}),
    *(
        ("fit", {"scorer": scorer, "similarity": similarity})
        for scorer in ("lss", "dot", "sum_max", "fc")
        for similarity in ("scaled_cosine", "dot")
    ),
    ("fit", {"scorer": "fc", "user_heads": 2, "item_heads": 3}),
    *(("fit", {"scorer": scorer, "without_mqm": True}) for scorer in ("lss", "dot", "sum_max", "fc")),
    ("mol", {"user_heads": 1, "item_heads": 1}),
    ("mol", {"mixture_temperature": 0.0, "user_id_head": True}),
    ("hit", {"scorer": "mol", "user_heads": 3, "mixture_hidden": 8}),
    *(("fit", {"scorer": "mol", "item_heads": 2, "without_mqm": without}) for without in (False, True)),
    ("rank_tower", {"user_heads": 1}),
    ("mind", {"interests": 3}),
]
IDS = range(1, 90, 2)


def _check(place, tmp_path):
    items = write_items(tmp_path / "items.parquet", IDS)
    model = Artefact(place)
    build(model, items, tmp_path / "index")
    ranker = PreRanker(place, tmp_path / "index")
    some = [51, 3, 3, 89, 7, 1]
    for user in users(4):
        expected = saved_model_scores(model, user, items)
        assert np.std(list(expected.values())) > 1e-3, "a difference would not be noticed"
        best = ranker.top(user, len(IDS))
        np.testing.assert_allclose(best.scores, [expected[i] for i in best.ids.tolist()], rtol=0, atol=1e-4)
        np.testing.assert_allclose(ranker.score(user, some).scores, [expected[i] for i in some], rtol=0, atol=1e-4)
    return model


@pytest.mark.parametrize("name", DECOUPLED)
def test_kernel_agrees_with_the_saved_model(name, tmp_path):
    model = _check(export_small(name, tmp_path / "out"), tmp_path)
    assert not isinstance(model.kernel, ExportedScorer), "every model of ours says what its score computes"


@pytest.mark.parametrize(
    ("name", "options"),
    OPTIONS,
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
def test_kernel_agrees_whatever_the_options(name, options):
    model = models.build(name, SPEC, {**small_options(name), **options})
    randomise(model)
    inputs, _ = random_batch(SPEC, 50)
    users, items = model.user_tower(inputs), model.item_tower(inputs)
    spec = model.scorer_spec()
    kernel = make_kernel(spec.kind, {**spec.weights, "bias": model.bias.numpy()})
    arranged = kernel.arrange({name: value.numpy() for name, value in items.items()})
    for row in range(3):
        expected = model.score({name: value[row : row + 1] for name, value in users.items()}, items).numpy()
        assert np.std(expected) > 1e-3, "a difference would not be noticed"
        user = kernel.prepare({name: value[row].numpy() for name, value in users.items()})
        np.testing.assert_allclose(kernel.score(user, arranged), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["hit", "fit"])
def test_a_model_that_declares_no_scorer_is_scored_by_its_saved_model(name, tmp_path, monkeypatch):
    monkeypatch.setattr(models.get(name).model, "scorer_spec", TwoTowerModel.scorer_spec)
    model = _check(export_small(name, tmp_path / "out"), tmp_path)
    assert isinstance(model.kernel, ExportedScorer)
    assert not (tmp_path / "out" / "scorer.npz").exists()
