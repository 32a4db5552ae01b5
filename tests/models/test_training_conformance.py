"""What training has to be for every model."""

import numpy as np
import pytest
import tensorflow as tf
from conformance import (
    WEIGHTS_WITHOUT_GRADIENT,
    build,
    every_differentiable_model,
    initial,
    loss_and_gradients,
    total_loss,
)
from support import SPEC, dense, is_table, random_batch, randomise

from models import TwoTowerModel
from training.optimizer import LazyAdam


@every_differentiable_model
@pytest.mark.parametrize("weights", ["initial", "random"])
def test_every_trainable_weight_gets_a_gradient(name, weights):
    model = initial(name)
    if weights == "random":
        randomise(model)
    norms = np.zeros(len(model.trainable_weights))
    for seed in range(3):
        _, *gradients = loss_and_gradients(model, *random_batch(SPEC, 256, seed))
        for place, (weight, gradient) in enumerate(zip(model.trainable_weights, gradients, strict=True)):
            assert gradient is not None, weight.name
            assert np.isfinite(dense(gradient)).all(), weight.name
            norms[place] = max(norms[place], np.linalg.norm(dense(gradient)))
    exempt = WEIGHTS_WITHOUT_GRADIENT.get(name, {}) if weights == "initial" else {}
    for weight, norm in zip(model.trainable_weights, norms, strict=True):
        if not any(part in weight.name for part in exempt):
            assert norm > 1e-6 * norms.max(), weight.name


@every_differentiable_model
def test_embedding_gradients_are_indexed_rows(name):
    model = initial(name)
    _, *gradients = loss_and_gradients(model, *random_batch(SPEC, 32))
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        assert isinstance(gradient, tf.IndexedSlices) == is_table(weight), weight.name


@every_differentiable_model
def test_the_loss_of_one_batch_falls(name):
    model = build(name, dropout=0.0)
    model.compile(optimizer=LazyAdam(0.01, embedding_l2=1e-5))
    inputs, labels = random_batch(SPEC, 128)
    losses = []
    for _ in range(20):
        model.reset_metrics()
        losses.append(model.train_on_batch(inputs, labels, return_dict=True)["loss"])
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


@every_differentiable_model
def test_a_batch_of_one_class_gives_finite_gradients(name):
    for label in (0.0, 1.0):
        model = initial(name)
        inputs, _ = random_batch(SPEC, 8)
        for found in loss_and_gradients(model, inputs, tf.fill([8], label)):
            assert np.isfinite(dense(found)).all()


@every_differentiable_model
def test_compiled_by_xla(name):
    plain, compiled = (build(name, seed=1, xla=xla) for xla in (False, True))
    batch = random_batch(SPEC, 64)
    found = loss_and_gradients(plain, *batch)
    for one, other in zip(found, tf.function(loss_and_gradients, jit_compile=True)(compiled, *batch), strict=True):
        np.testing.assert_allclose(dense(other), dense(one), rtol=1e-3, atol=1e-5 * np.abs(dense(one)).max())


@pytest.fixture
def policy(request):
    tf.keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    tf.keras.mixed_precision.set_global_policy("float32")


@every_differentiable_model
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"], indirect=True)
def test_mixed_precision(name, policy):
    model = build(name)
    model.compile(optimizer=LazyAdam())
    scaled = isinstance(model.optimizer, tf.keras.mixed_precision.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    assert {weight.dtype for weight in model.trainable_weights} == {tf.float32}
    inputs, labels = random_batch(SPEC, 64)
    for found in loss_and_gradients(model, inputs, labels):
        assert found.dtype == tf.float32
        assert np.isfinite(dense(found)).all()
    logits = model(inputs, training=False)
    assert logits.dtype == tf.float32
    assert np.isfinite(logits).all()
    if isinstance(model, TwoTowerModel):
        score = model.score(model.user_tower(inputs), model.item_tower(inputs))
        np.testing.assert_allclose(score, logits, rtol=0, atol=1e-5)


def test_a_training_step_is_traced_once(monkeypatch):
    """Tracing is most of the time before the first step."""
    model = build("dssm")
    model.compile(optimizer=LazyAdam())
    model.optimizer.build(model.trained_variables)
    traced, losses = [], model.losses
    monkeypatch.setattr(model, "losses", lambda *args: traced.append(1) or losses(*args))
    found = [model.train_on_batch(*random_batch(SPEC, 16), return_dict=True) for _ in range(2)]
    assert len(traced) == 1
    assert found[0]["loss"] != found[1]["loss"]


@every_differentiable_model
def test_elements_are_dropped_in_training_and_in_training_only(name):
    """The same batch has another loss each time, and the same logits where nothing is trained."""
    inputs, labels = random_batch(SPEC, 64)
    model = build(name, dropout=0.5)
    randomise(model)
    losses = {float(total_loss(model, inputs, labels)) for _ in range(3)}
    drops = name not in ("lr", "target_means")  # which have no layer that could
    assert (len(losses) == 3) == drops
    one, other = (model(inputs, training=False).numpy() for _ in range(2))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(model.scored(inputs, training=False).logits, one, rtol=0, atol=1e-4)
    assert (np.abs(model.scored(inputs).logits - one).max() > 1e-3) == drops
