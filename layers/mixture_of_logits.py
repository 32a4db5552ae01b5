"""Mixture of logits: a score of several vectors a side, whose pairs a gate weighs by what they are."""

import numpy as np
import tensorflow as tf

from layers.dropout import Dropout
from layers.scaled_similarity import INITIAL_SCALE

_FLOOR = 1e-6


@tf.keras.utils.register_keras_serializable(package="prerank")
class MixtureOfLogits(tf.keras.layers.Layer):
    """The mean of the inner products of all pairs of heads, weighed by a gate of user, item and the products.

    MoL (Zhai et al., KDD 2023, arXiv 2306.04039; Ding & Zhai, WWW 2025, arXiv 2407.15462). With the L = H_u · H_v
    products `l_ab = <u_a, v_b> · scale`, in the order of a, then b, and gates g_u and g_v of the sides,

        g = g_u ⊙ g_v + W₂ SiLU(W₁ l + b₁) + b₂,   π = softmax(g ⊙ σ(g)),   score = Σ π l

    In training elements of π are dropped, and the rest is scaled to a sum of 1. That is left out for L = 1.

    Args:
        hidden: width of the network on the products.
        temperature: the products are divided by it, 0.05 in the papers' code; 0 for a learned scale, which starts at 5.
        dropout: dropout rate of π.
        seed: seed of the initial weights and of the dropout masks.

    Example:
        >>> layer = MixtureOfLogits(temperature=0.5)
        >>> heads, gate = tf.constant([[[1.0, 0.0]]]), tf.zeros([1, 1])
        >>> layer([heads, heads, gate, gate]).numpy().tolist()  # one pair: its product over the temperature
        [2.0]
    """

    def __init__(self, hidden: int = 128, temperature: float = 0.0, dropout: float = 0.2, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.hidden = hidden
        self.temperature = temperature
        self.dropout = dropout
        self.seed = seed
        self._dropout = Dropout(dropout, seed=seed + 2, name="dropout", dtype="float32")

    def build(self, input_shape):
        user_heads, item_heads = (tuple(shape)[1] for shape in input_shape[:2])
        count = user_heads * item_heads
        if not self.temperature:
            initializer = tf.keras.initializers.Constant(INITIAL_SCALE)
            self.scale = self.add_weight(name="scale", shape=(), initializer=initializer, autocast=False)
        self.hidden_kernel = self._matrix("hidden_kernel", (count, self.hidden), self.seed)
        self.hidden_bias = self._vector("hidden_bias", self.hidden)
        self.output_kernel = self._matrix("output_kernel", (self.hidden, count), self.seed + 1)
        self.output_bias = self._vector("output_bias", count)
        with tf.name_scope("dropout"):
            self._dropout.build((None, count))
        super().build(input_shape)

    def _matrix(self, name, shape, seed):
        initializer = tf.keras.initializers.GlorotUniform(seed=seed)
        return self.add_weight(name=name, shape=shape, initializer=initializer, autocast=False)

    def _vector(self, name, size):
        return self.add_weight(name=name, shape=(size,), initializer="zeros", autocast=False)

    def call(self, inputs, training=None, return_weights: bool = False):
        """Score `inputs`, a quadruple, to (N,) float32.

        The quadruple is user heads (B, H_u, d), item heads (N, H_v, d), and gates (B, L) and (N, L) of users and items;
        B is N or 1. With `return_weights`, a pair of the scores and of π (N, L), after dropout.
        """
        user, item, of_user, of_item = (tf.cast(value, tf.float32) for value in inputs)  # half floats would tie scores
        products = tf.matmul(user, item, transpose_b=True)
        count = products.shape[1] * products.shape[2]
        logits = tf.reshape(products, [-1, count]) * self.factor()
        hidden = tf.nn.silu(tf.matmul(logits, tf.convert_to_tensor(self.hidden_kernel)) + self.hidden_bias)
        gate = of_user * of_item + tf.matmul(hidden, tf.convert_to_tensor(self.output_kernel)) + self.output_bias
        weights = tf.nn.softmax(tf.nn.silu(gate))
        if training and count > 1:
            weights = self._dropout(weights, training=True)
            weights /= tf.maximum(tf.reduce_sum(weights, axis=-1, keepdims=True), _FLOOR)
        score = tf.reduce_sum(weights * logits, axis=-1)
        return (score, weights) if return_weights else score

    def factor(self) -> tf.Tensor:
        """What products are multiplied by, () float32."""
        return tf.constant(1 / self.temperature) if self.temperature else tf.convert_to_tensor(self.scale)

    def arrays(self) -> dict[str, np.ndarray]:
        """The scale, and kernel and bias of both layers of the network on the products, by name."""
        names = ("hidden_kernel", "hidden_bias", "output_kernel", "output_bias")
        found = {name: np.asarray(tf.convert_to_tensor(getattr(self, name))) for name in names}
        return {"scale": np.asarray(self.factor()), **found}

    def compute_output_shape(self, input_shape):
        return (input_shape[1][0],)

    def get_config(self):
        own = {"hidden": self.hidden, "temperature": self.temperature, "dropout": self.dropout, "seed": self.seed}
        return {**super().get_config(), **own}


@tf.keras.utils.register_keras_serializable(package="prerank")
class MixtureGate(tf.keras.layers.Layer):
    """What one side says of the weights of :class:`MixtureOfLogits`: `W₂ SiLU(W₁ x + b₁)`, one number a pair of heads.

    Args:
        units: how many pairs of heads there are.
        hidden: width of the first layer.
        seed: seed of the initial weights.
    """

    def __init__(self, units: int, hidden: int = 128, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = hidden
        self.seed = seed
        initializer = tf.keras.initializers.GlorotUniform
        self._hidden = tf.keras.layers.Dense(hidden, "swish", kernel_initializer=initializer(seed=seed), name="hidden")
        self._output = tf.keras.layers.Dense(
            units, use_bias=False, kernel_initializer=initializer(seed=seed + 1), name="output"
        )

    def build(self, input_shape):
        shape = tuple(input_shape)
        for layer in (self._hidden, self._output):
            with tf.name_scope(layer.name):
                layer.build(shape)
            shape = (*shape[:-1], layer.units)
        super().build(input_shape)

    def call(self, inputs):
        """Map (B, D) to (B, `units`)."""
        return self._output(self._hidden(inputs))

    def compute_output_shape(self, input_shape):
        return (*tuple(input_shape)[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "hidden": self.hidden, "seed": self.seed}


@tf.keras.utils.register_keras_serializable(package="prerank")
class MixtureBalanceLoss(tf.keras.layers.Layer):
    """Minus the mutual information of rows and pairs of heads: `mean H(π_row) − H(mean π)`, in nats.

    The load balance of MoL's code. It is in [−log L, 0]: −log L if each row has one pair, and all pairs are used alike.
    """

    def call(self, inputs):
        """Return a float32 scalar for the weights π (B, L)."""
        weights = tf.cast(inputs, tf.float32)
        return tf.reduce_mean(_entropy(weights)) - _entropy(tf.reduce_mean(weights, axis=0))

    def compute_output_shape(self, input_shape):
        return ()


def _entropy(weights: tf.Tensor) -> tf.Tensor:
    """Entropies (...,) in nats of distributions (..., L)."""
    return -tf.reduce_sum(weights * tf.math.log(tf.maximum(weights, _FLOOR)), axis=-1)
