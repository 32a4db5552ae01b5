import numpy as np
import pytest
from support import SPEC, random_batch, randomise

import models
from features import UNSEEN
from layers import ListwiseLoss

SMALL = {"hidden_units": (12, 8), "embedding_dim": 4, "head_dim": 3, "dropout": 0.0}


def build(**options):
    model = models.build("rank_tower", SPEC, {**SMALL, **options})
    randomise(model, seed=1)
    return model


def test_the_score_from_the_heads():
    model = build(user_heads=3, item_heads=2)
    inputs, _ = random_batch(SPEC, 16)
    u, v = model.user_tower(inputs)["user_heads"].numpy(), model.item_tower(inputs)["item_heads"].numpy()
    assert u.shape == (16, 3, 3)
    assert v.shape == (16, 2, 3)
    for heads in (u, v):
        np.testing.assert_allclose(np.linalg.norm(heads, axis=2), 1, rtol=1e-5)
    cosines = np.einsum("bhd,bkd->bhk", u, v).max(axis=2).sum(axis=1)
    expected = float(model.scorer.scale) * cosines + float(model.bias)
    np.testing.assert_allclose(model(inputs, training=False), expected, rtol=1e-4, atol=1e-5)


def test_the_listwise_term():
    inputs, labels = random_batch(SPEC, 64)
    users = inputs["user_id"].numpy()
    assert (users <= UNSEEN).sum() > 1
    lists = np.where(users <= UNSEEN, -np.arange(1, 65), users)
    model = build(listwise_weight=0.4)
    found = model.loss_terms(inputs, labels)
    expected = 0.4 * float(ListwiseLoss()([model(inputs, training=True), labels, lists]))
    assert expected > 0
    assert float(found["listwise"]) == pytest.approx(expected, rel=1e-5)
    assert list(build().loss_terms(inputs, labels)) == ["cross_entropy"]
