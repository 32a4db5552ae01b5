import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from support import SPEC, random_batch, randomise

import models
from layers import Dropout

NAMES = ["auto_int", "dcn", "dcn_v2", "deep_fm", "wide_and_deep"]
SMALL = {"hidden_units": (12, 8), "embedding_dim": 4, "dropout": 0.0}

every_ranking_model = pytest.mark.parametrize("name", NAMES)


def build(name, spec=SPEC, **options):
    model = models.build(name, spec, {**SMALL, **options})
    randomise(model)
    return model


def parts(model):
    """Weights by the part of their name that does not count the layers made before."""
    return {weight.name: weight.numpy() for weight in model.network.weights}


def one(weights, *words):
    (found,) = (value for name, value in weights.items() if all(word in name for word in words))
    return found


def pooled(weights, prefix, inputs):
    """Fields (B, F, E) in deepctr's order: ids, then sequences averaged."""
    fields = []
    for name in ("user_id", "gender", "age"):
        fields.append(one(weights, f"{prefix}sparse_emb_{name}/")[inputs[name]])
    # the item's id is looked up in the history's table
    history = one(weights, f"{prefix}sparse_seq_emb_user_hist/")
    fields.append(history[inputs["movie_id"]])
    for name, table in (("user_hist", history), ("genres", one(weights, f"{prefix}sparse_seq_emb_genres/"))):
        rows = [table[row[row != 0]].mean(axis=0) if row.any() else np.zeros(table.shape[1]) for row in inputs[name]]
        fields.append(np.stack(rows))
    return np.stack(fields, axis=1)


def test_wide_and_deep_and_deep_fm_by_their_formulas():
    batch, _ = random_batch(SPEC, 16)
    inputs = {name: values.numpy() for name, values in batch.items()}
    numbers = np.column_stack([inputs["user_mean_rating"], inputs["item_mean_rating"]])
    for name in ("wide_and_deep", "deep_fm"):
        model = build(name)
        weights = parts(model)
        deep = {key: value for key, value in weights.items() if not key.startswith("linear")}
        fields = pooled(deep, "", inputs)
        hidden = np.hstack([fields.reshape(16, -1), numbers])
        for layer in range(2):
            kernel, bias = one(weights, "dnn", f"/kernel{layer}"), one(weights, "dnn", f"/bias{layer}")
            hidden = np.maximum(hidden @ kernel + bias, 0)
        logit = (hidden @ one(weights, "dense", "/kernel:0"))[:, 0] + float(model.bias)
        linear = pooled(weights, "linear0", inputs)[..., 0].sum(axis=1)
        logit += linear + (numbers @ one(weights, "linear_kernel"))[:, 0]
        if name == "deep_fm":
            logit += 0.5 * (fields.sum(axis=1) ** 2 - (fields**2).sum(axis=1)).sum(axis=1)
        np.testing.assert_allclose(model(batch, training=False), logit, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["dcn", "dcn_v2"])
def test_cross_network_by_its_formula(name):
    model = build(name, cross_layers=3)
    (cross,) = (layer for layer in model.network.layers if type(layer).__name__ == "CrossNet")
    x_0 = np.random.default_rng(0).normal(size=(5, cross.input_shape[1])).astype(np.float32)
    x = x_0
    for kernel, bias in zip(cross.kernels, cross.bias, strict=True):
        kernel, bias = kernel.numpy(), bias.numpy()[:, 0]
        x = x_0 * (x @ kernel) + bias + x if name == "dcn" else x_0 * (x @ kernel.T + bias) + x
    assert len(cross.kernels) == 3
    np.testing.assert_allclose(cross(tf.constant(x_0)), x, rtol=1e-3, atol=1e-3)


@every_ranking_model
def test_the_logit_is_what_deepctr_gives_to_its_sigmoid(name):
    model = build(name)
    outputs = model.network.outputs
    assert len(outputs) == 1
    assert "prediction" not in outputs[0].name
    assert not model.network.losses or max(float(loss) for loss in model.network.losses) == 0


@every_ranking_model
def test_dropout_is_ours_and_follows_the_option(name):
    model = build(name, dropout=0.25)
    dropouts = [layer for layer in model.submodules if isinstance(layer, Dropout)]
    assert [layer.rate for layer in dropouts] == [0.25, 0.25]
    assert len({layer.seed for layer in dropouts}) == 2
    assert not [layer for layer in model.submodules if isinstance(layer, tf.keras.layers.Dropout)]
    inputs, _ = random_batch(SPEC, 64)
    assert not np.allclose(model(inputs, training=True), model(inputs, training=True))
    assert {int(layer.step) for layer in dropouts} == {2}
    np.testing.assert_array_equal(model(inputs, training=False), model(inputs, training=False))


@every_ranking_model
def test_sequences_longer_than_in_training(name):
    model = build(name)
    inputs, _ = random_batch(SPEC, 5)
    longer = {**inputs, "user_hist": tf.pad(inputs["user_hist"], [[0, 0], [0, 9]])}
    np.testing.assert_allclose(model(longer, training=False), model(inputs, training=False), rtol=1e-4, atol=1e-5)


@every_ranking_model
def test_a_data_set_without_numbers(name):
    fields = tuple(field for field in SPEC.fields if field.kind != "dense")
    spec = dataclasses.replace(SPEC, fields=fields, user_mean=None, item_mean=None)
    model = build(name, spec)
    inputs, _ = random_batch(spec, 16)
    alone = [float(model({key: value[row : row + 1] for key, value in inputs.items()})[0]) for row in range(16)]
    np.testing.assert_allclose(model(inputs, training=False), alone, rtol=1e-4, atol=1e-5)
