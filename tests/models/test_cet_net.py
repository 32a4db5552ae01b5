import numpy as np
import pytest
import tensorflow as tf
from support import SPEC, random_batch, randomise

import models

SMALL = {
    "hidden_units": (7, 5),
    "embedding_dim": 4,
    "compressor_heads": 2,
    "local_width": 3,
    "dropout": 0.0,
}


def build(**options):
    model = models.build("cet_net", SPEC, {**SMALL, **options})
    randomise(model)
    return model


def test_the_networks_have_tables_of_their_own():
    model = build()
    assert sum("table" in weight.name for weight in model.trainable_weights) == 2
    inputs, _ = random_batch(SPEC, 16)
    deep, compressed = (part.numpy() for part in model._logits(inputs, False))
    model.second_encoder.embedding.table.assign(tf.zeros_like(model.second_encoder.embedding.table))
    after = [part.numpy() for part in model._logits(inputs, False)]
    np.testing.assert_array_equal(after[0], deep)
    assert np.abs(after[1] - compressed).max() > 1e-3


@pytest.mark.parametrize("temperature", [1.0, 0.2])
def test_the_fused_logit(temperature):
    model = build(fusion_temperature=temperature)
    inputs, _ = random_batch(SPEC, 16)
    p = 1 / (1 + np.exp(-np.stack([part.numpy().astype(np.float64) for part in model._logits(inputs, False)], 1)))
    weights = np.exp((p * np.log(p) + (1 - p) * np.log(1 - p)) / temperature)
    fused = (weights * p).sum(axis=1) / weights.sum(axis=1)
    np.testing.assert_allclose(model(inputs), np.log(fused / (1 - fused)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss(weighted):
    model = build(divergence_weight=0.3)
    inputs, labels = random_batch(SPEC, 16)
    scored = model.scored(inputs)
    a, b = (scored.user[name].numpy().astype(np.float64) for name in ("deep_logits", "compressed_logits"))
    weights = np.arange(16.0) % 3 if weighted else np.ones(16)
    given = tf.constant(weights, tf.float32) if weighted else None
    y = labels.numpy()
    p, q = 1 / (1 + np.exp(-a)), 1 / (1 + np.exp(-b))

    def mean(losses):
        return (weights * losses).sum() / weights.sum()

    expected = {
        "deep": mean(-y * np.log(p) - (1 - y) * np.log(1 - p)),
        "compressed": mean(-y * np.log(q) - (1 - y) * np.log(1 - q)),
        "divergence": 0.3 * mean((p - q) * (a - b) / 2),
    }
    found = model.row_losses(inputs, labels, scored, given)
    assert {name: float(value) for name, value in found.items()} == pytest.approx(expected, rel=1e-4)


def test_pairs():
    model = build()
    inputs, _ = random_batch(SPEC, 8)
    users, items = tf.constant([0, 3, 7]), tf.constant([2, 2, 1])
    scored = model.scored(inputs, users, items, training=False)
    rows = {f.name: tf.gather(inputs[f.name], users if f.side == "user" else items) for f in SPEC.fields}
    np.testing.assert_allclose(scored.logits, model(rows, training=False), atol=1e-5)
    assert scored.user["deep_logits"].shape == (3,)
