"""What holds for every loss over lists. A new one is tested by its line in `list_losses.CASES`, and missed without."""

import numpy as np
import pytest
import tensorflow as tf
from list_losses import CASES, random_parts

import layers
from layers.lists import ListLoss

_RANK_ONLY = [name for name in CASES if not name.startswith(("regression", "joint", "pointwise"))]

every_loss = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def loss_and_gradient(case, parts, function=None):
    layer = case.make()
    logits = tf.Variable(parts["logits"])
    with tf.GradientTape() as tape:
        loss = (function or layer)({**parts, "logits": tf.convert_to_tensor(logits)})
    return float(loss), tape.gradient(loss, logits).numpy()


def slopes(case, parts, step=1e-5):
    """The gradient by the logits, from central differences in double precision."""
    logits = parts["logits"].astype(np.float64)
    found = np.zeros_like(logits)
    for place in np.argwhere(~np.isnan(logits)):
        ends = []
        for sign in (1, -1):
            moved = logits.copy()
            moved[tuple(place)] += sign * step
            ends.append(case.expected({**parts, "logits": moved}))
        found[tuple(place)] = (ends[0] - ends[1]) / (2 * step)
    return found


def test_every_loss_has_a_case():
    of_lists = {name for name in layers.__all__ if issubclass(getattr(layers, name), ListLoss)}
    assert {case.layer.__name__ for case in CASES.values()} == of_lists


@every_loss
@pytest.mark.parametrize("seed", range(3))
def test_value_and_gradient(case, seed):
    parts = random_parts(case, seed)
    loss, gradient = loss_and_gradient(case, parts)
    assert loss == pytest.approx(case.expected(parts), rel=1e-5)
    assert loss > 0
    np.testing.assert_allclose(gradient, slopes(case, parts), atol=2e-6)


@every_loss
def test_full_lists_without_mask_and_weights(case):
    parts = random_parts(case, sizes=(5, 5, 5))
    loss, _ = loss_and_gradient(case, {name: part for name, part in parts.items() if name not in ("mask", "weights")})
    assert loss == pytest.approx(case.expected({**parts, "weights": np.ones((3, 5))}), rel=1e-5)


@every_loss
def test_one_weight_a_list(case):
    parts = random_parts(case)
    weights = np.arange(1, 7, dtype=np.float32)[:, np.newaxis]
    loss, _ = loss_and_gradient(case, {**parts, "weights": weights})
    assert loss == pytest.approx(case.expected({**parts, "weights": np.broadcast_to(weights, (6, 6))}), rel=1e-5)


@every_loss
def test_a_row_of_weight_0_is_none(case):
    parts = random_parts(case)
    gone = np.random.default_rng(1).random((6, 6)) < 0.3
    by_mask = {**parts, "mask": parts["mask"] & ~gone}
    by_weight = {**parts, "weights": np.where(gone, 0, parts["weights"]).astype(np.float32)}
    assert loss_and_gradient(case, by_weight)[0] == loss_and_gradient(case, by_mask)[0]
    assert loss_and_gradient(case, by_weight)[0] == pytest.approx(case.expected(by_mask), rel=1e-5)


@every_loss
@pytest.mark.parametrize("sizes", [(0, 0), (1, 1, 0)], ids=["no row", "lists of one row"])
def test_nothing_to_compare(case, sizes):
    parts = random_parts(case, sizes=sizes)
    loss, gradient = loss_and_gradient(case, parts)
    assert loss == pytest.approx(case.expected(parts), rel=1e-5)
    np.testing.assert_allclose(gradient, slopes(case, parts), atol=2e-6)
    if case in [CASES[name] for name in _RANK_ONLY] or not sum(sizes):
        assert loss == 0
        assert not gradient.any()


@every_loss
@pytest.mark.parametrize("label", [0, 1])
def test_one_label_only(case, label):
    parts = random_parts(case)
    for name in {"labels", "stages"} & set(parts):
        parts[name] = np.full_like(parts[name], label)
    loss, gradient = loss_and_gradient(case, parts)
    assert loss == pytest.approx(case.expected(parts), rel=1e-5)
    np.testing.assert_allclose(gradient, slopes(case, parts), atol=2e-6)


@every_loss
def test_the_order_of_the_rows_does_not_matter(case):
    parts = random_parts(case)
    order = np.random.default_rng(1).permutation(6)
    turned = {name: part[:, order] for name, part in parts.items()}
    assert loss_and_gradient(case, turned)[0] == pytest.approx(loss_and_gradient(case, parts)[0], rel=1e-5)


@every_loss
@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_floats_are_computed_with_in_float32(case, dtype):
    parts = {name: tf.constant(part) for name, part in random_parts(case).items()}
    half = {name: tf.cast(part, dtype) if part.dtype.is_floating else part for name, part in parts.items()}
    rounded = {name: tf.cast(part, tf.float32) if part.dtype.is_floating else part for name, part in half.items()}
    loss = case.make()(half)
    assert loss.dtype == tf.float32
    assert float(loss) == float(case.make()(rounded))


@every_loss
def test_large_logits(case):
    parts = random_parts(case)
    parts["logits"] *= 3e3
    loss, gradient = loss_and_gradient(case, parts)
    assert np.isfinite(loss)
    assert np.isfinite(gradient).all()


@every_loss
def test_compiled(case):
    parts = random_parts(case)
    layer = case.make()
    compiled = tf.function(layer, jit_compile=True)
    expected = loss_and_gradient(case, parts)
    found = loss_and_gradient(case, parts, compiled)
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-6)


@every_loss
def test_lists_of_unknown_number_and_size(case):
    parts = random_parts(case)
    signature = {
        name: tf.TensorSpec([None, None, *part.shape[2:]], tf.as_dtype(part.dtype)) for name, part in parts.items()
    }
    traced = tf.function(case.make(), input_signature=[signature])
    assert float(traced(parts)) == pytest.approx(case.expected(parts), rel=1e-5)


@pytest.mark.parametrize("case", [case for case in CASES.values() if "teacher" in case.takes])
def test_the_teacher_is_not_trained(case):
    parts = random_parts(case)
    teacher = tf.Variable(parts["teacher"])
    with tf.GradientTape() as tape:
        loss = case.make()({**parts, "teacher": tf.convert_to_tensor(teacher)})
    assert tape.gradient(loss, teacher) is None


@pytest.mark.parametrize("names", [("logits",), ("logits", "labels", "label"), ("labels", "mask")])
def test_wrong_inputs(names):
    with pytest.raises(ValueError, match="inputs must be .*Received"):
        layers.PairwiseLoss()({name: tf.zeros([2, 3]) for name in names})
