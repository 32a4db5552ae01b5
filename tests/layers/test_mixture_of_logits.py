import numpy as np
import pytest
import tensorflow as tf

from layers import MixtureBalanceLoss, MixtureGate, MixtureOfLogits

USER_HEADS, ITEM_HEADS, DIM = 3, 2, 4
PAIRS = USER_HEADS * ITEM_HEADS


def make(temperature=0.0, dropout=0.25, user_heads=USER_HEADS, item_heads=ITEM_HEADS):
    layer = MixtureOfLogits(5, temperature, dropout, seed=1)
    pairs = user_heads * item_heads
    layer.build([(None, user_heads, DIM), (None, item_heads, DIM), (None, pairs), (None, pairs)])
    random = np.random.default_rng(1)
    for weight in layer.trainable_weights:
        weight.assign(random.normal(size=weight.shape))
    return layer


def draw(users, items, user_heads=USER_HEADS, item_heads=ITEM_HEADS):
    random = np.random.default_rng(0)
    pairs = user_heads * item_heads
    shapes = (users, user_heads, DIM), (items, item_heads, DIM), (users, pairs), (items, pairs)
    return [random.normal(size=shape).astype(np.float32) for shape in shapes]


def silu(x):
    return x * 0.5 * (1 + np.tanh(x / 2))


def expected(layer, u, v, of_user, of_item):
    """The products and their weights of one pair, without dropout."""
    scale = 1 / layer.temperature if layer.temperature else float(layer.scale)
    w1, b1, w2, b2 = (
        np.array(weight) for weight in (layer.hidden_kernel, layer.hidden_bias, layer.output_kernel, layer.output_bias)
    )
    logits = np.array([a @ b for a in u for b in v]) * scale
    gate = of_user * of_item + silu(logits @ w1 + b1) @ w2 + b2
    gate = silu(gate.astype(np.float64))
    weights = np.exp(gate - gate.max())
    return logits, weights / weights.sum()


@pytest.mark.parametrize("temperature", [0.0, 0.05])
@pytest.mark.parametrize("users", [6, 1])
def test_score(temperature, users):
    layer, inputs = make(temperature), draw(users, 6)
    rows = zip(*(np.broadcast_to(part, (6, *part.shape[1:])) for part in inputs), strict=True)
    parts = [expected(layer, *row) for row in rows]
    found, weights = layer(inputs, return_weights=True)
    np.testing.assert_allclose(found, [logits @ pi for logits, pi in parts], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(weights, [pi for _, pi in parts], atol=1e-5)


def test_of_one_pair_the_score_is_its_product_even_in_training():
    layer, inputs = make(user_heads=1, item_heads=1), draw(50, 50, 1, 1)
    products = np.einsum("bhd,bhd->b", inputs[0], inputs[1]) * float(layer.scale)
    np.testing.assert_allclose(layer(inputs), products, rtol=1e-5)
    np.testing.assert_allclose(layer(inputs, training=True), products, rtol=1e-5)


def test_the_order_of_heads_does_not_matter():
    """Heads, gates and the network's rows and columns, all in another order, give the same score."""
    layer, (user, item, of_user, of_item) = make(), draw(6, 6)
    before = layer([user, item, of_user, of_item]).numpy()
    order = [2, 0, 1]
    pairs = np.arange(PAIRS).reshape(USER_HEADS, ITEM_HEADS)[order].ravel()
    layer.hidden_kernel.assign(np.array(layer.hidden_kernel)[pairs])
    layer.output_kernel.assign(np.array(layer.output_kernel)[:, pairs])
    layer.output_bias.assign(np.array(layer.output_bias)[pairs])
    after = layer([user[:, order], item, of_user[:, pairs], of_item[:, pairs]])
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


def test_dropout_leaves_weights_that_sum_to_one():
    layer, inputs = make(dropout=0.5), draw(200, 200)
    score, weights = (part.numpy() for part in layer(inputs, training=True, return_weights=True))
    whole = layer(inputs, return_weights=True)[1].numpy()
    dropped = weights == 0
    assert 0.4 < dropped.mean() < 0.6
    kept = np.where(dropped, 0, whole)
    sums = kept.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weights, np.divide(kept, sums, where=sums > 1e-3, out=np.zeros_like(kept)), atol=1e-4)
    logits = (inputs[0] @ inputs[1].transpose(0, 2, 1)).reshape(200, -1) * float(layer.scale)
    np.testing.assert_allclose(score, (weights * logits).sum(axis=1), rtol=1e-3, atol=1e-3)


def test_gate():
    layer, x = MixtureGate(3, 5, seed=1), draw(6, 6)[2]
    found = layer(x)
    hidden, bias, output = (np.array(weight) for weight in layer.weights)
    np.testing.assert_allclose(found, silu(x @ hidden + bias) @ output, rtol=1e-4, atol=1e-5)


def test_balance():
    weights = np.random.default_rng(0).dirichlet(np.ones(4), 50)
    mean = weights.mean(axis=0)
    expected = -(weights * np.log(weights)).sum(axis=1).mean() + (mean * np.log(mean)).sum()
    loss = MixtureBalanceLoss()
    assert float(loss(tf.constant(weights, tf.float32))) == pytest.approx(expected, rel=1e-4)
    assert -np.log(4) < expected < 0
    assert float(loss(tf.eye(4))) == pytest.approx(-np.log(4), rel=1e-5)
    assert float(loss(tf.fill([3, 4], 0.25))) == pytest.approx(0, abs=1e-6)
