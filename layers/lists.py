"""Lists of rows that are ranked together, a request's or a user's, and what the losses over them have in common.

A batch is G lists of N places, and a mask says which places hold a row. So a softmax over each list costs O(G·N) and
all pairs of each list O(G·N²), where pairs of the rows of a batch with list ids would cost O(G²·N²). The rows of a list
may come in any order, and candidates drawn for it are further places. A matrix of logits of all users and all items of
a batch is lists too, one a user.
"""

import inspect
from collections.abc import Callable

import tensorflow as tf

_EXCLUDED = -1e9


class ListLoss(tf.keras.layers.Layer):
    """A loss over lists; the base of those layers.

    Subclasses define `loss`, which returns a scalar. The names of its arguments are the inputs that the layer takes,
    and those with a default are optional. `mask` and `weights` always are. It is given floats in float32, and 0 at
    places without a row.
    """

    loss: Callable[..., tf.Tensor]

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})  # Keras would otherwise round the inputs to half floats

    def call(self, inputs):
        """Return a float32 scalar for `inputs`, a dictionary of tensors (G, N) by name.

        `mask` says which places hold a row, by default all. `weights`, by default 1, is how much each row counts, and
        (G, 1) is one weight a list; a row of weight 0 is none. What stands at a place without a row does not matter,
        even if it is NaN.

        Raises:
            ValueError: an input is missing, or is none that the loss takes.
        """
        taken = inspect.signature(self.loss).parameters
        required = {name for name, argument in taken.items() if argument.default is argument.empty}
        required -= {"mask", "weights"}
        if not required <= set(inputs) <= set(taken):
            optional = sorted(set(taken) - required)
            raise ValueError(
                f"inputs must be {sorted(required)}, and optionally {optional}. Received: {sorted(inputs)}"
            )
        parts = {name: tf.convert_to_tensor(part) for name, part in inputs.items()}
        shape = tf.shape(parts["logits"])[:2]
        parts["weights"] = tf.broadcast_to(parts.get("weights", 1.0), shape)
        mask = tf.cast(tf.broadcast_to(parts.get("mask", True), shape), tf.bool) & (parts["weights"] > 0)
        cleaned = {name: _clean(part, mask) for name, part in parts.items() if name not in ("mask", "items")}
        return self.loss(**{**parts, **cleaned, "mask": mask})

    def compute_output_shape(self, input_shape):
        return ()


def _clean(part: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """A part (G, N, ...) in float32, 0 where there is no row."""
    mask = tf.reshape(mask, tf.concat([tf.shape(mask), tf.ones([part.shape.rank - 2], tf.int32)], axis=0))
    return tf.where(mask, tf.cast(part, tf.float32), 0.0)


def weighted_mean(losses: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The mean of losses by their weights, of the same shape; 0 if all weights are 0."""
    return tf.math.divide_no_nan(tf.reduce_sum(weights * losses), tf.reduce_sum(weights))


def with_rows(mask: tf.Tensor, count: int, weights: tf.Tensor) -> tf.Tensor:
    """Weights (G, N), 0 in a list of which `mask` (G, N) holds at fewer than `count` places."""
    rows = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1, keepdims=True)
    return tf.where(rows >= count, weights, 0.0)


def total(logits: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """The log (G, 1) of the sum of exp(logits) over the rows of a list; very low where it has none."""
    return tf.reduce_logsumexp(tf.where(mask, logits, _EXCLUDED), axis=1, keepdims=True)


def loss_against(logits: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """`-log(exp(s_i) / (exp(s_i) + Σ_j exp(s_j)))` (G, N), where j runs over those of `others` (G, N) in the list."""
    return tf.nn.softplus(total(logits, others) - logits)


def differences(values: tf.Tensor) -> tf.Tensor:
    """The differences (G, N, N) of values (G, N): at [g, i, j] that of row i less that of row j."""
    return values[:, :, tf.newaxis] - values[:, tf.newaxis, :]


def pair_weights(values: tf.Tensor, weights: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """The weights (G, N, N) of the pairs of rows [g, i, j] with a greater value at i: the weight of row i."""
    rows = mask[:, :, tf.newaxis] & mask[:, tf.newaxis, :]
    return tf.where(rows & (differences(values) > 0), weights[:, :, tf.newaxis], 0.0)


def best(values: tf.Tensor, mask: tf.Tensor, count: int) -> tf.Tensor:
    """The `count` largest values (G, count) of the rows of each list, in falling order; very low where it has fewer."""
    padded = tf.pad(tf.where(mask, values, _EXCLUDED), [[0, 0], [0, count]], constant_values=_EXCLUDED)
    return tf.math.top_k(padded, count).values
