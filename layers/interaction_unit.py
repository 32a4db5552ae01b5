"""FIT's interaction unit: how much each element of a user matters to a query."""

import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="prerank")
class InteractionUnit(tf.keras.layers.Layer):
    """Weighs a user's elements (behaviours or fields) by a query, as DIN's attention does.

    FIT (Xiong et al., SIGIR 2025, arXiv 2509.12948), interaction unit; the attention is DIN's (Zhou et al., KDD 2018,
    equation 3). An element e has the weight `MLP([q, e, q − e, q ⊙ e])` for the query q, not normalised over the
    elements. The MLP has one hidden layer with ReLU. Its first matrix is split by the four parts of its input: what
    meets the query alone is computed once a query, and what meets the element, alone and in the product, is one matrix
    a query, so that no product of queries and elements is ever formed.

    Args:
        pool: sum the weighted elements; otherwise they stay apart.
        units: width of the hidden layer.
        seed: seed of the initial weights.
    """

    def __init__(self, pool: bool, units: int = 32, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.pool = pool
        self.units = units
        self.seed = seed

    def build(self, input_shape):
        width = tuple(input_shape[0])[-1]
        self.kernel = self._matrix("kernel", (4 * width, self.units), self.seed)
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")
        self.output_kernel = self._matrix("output_kernel", (self.units, 1), self.seed + 1)
        self.output_bias = self.add_weight(name="output_bias", shape=(1,), initializer="zeros")
        super().build(input_shape)

    def _matrix(self, name, shape, seed):
        return self.add_weight(name=name, shape=shape, initializer=tf.keras.initializers.GlorotUniform(seed=seed))

    def call(self, inputs):
        """Weigh `inputs`: queries (B, Q, E) or (1, Q, E), elements (B, L, E) and optionally a mask (B, L), 1 if filled.

        Returns:
            (B, Q, E) if pooled, zeros for a row without an element; otherwise (B, Q, L, E).
        """
        queries, elements = inputs[:2]
        of_query, of_element, of_difference, of_product = tf.split(tf.convert_to_tensor(self.kernel), 4, axis=0)
        matrices = of_element - of_difference + queries[..., tf.newaxis] * of_product
        hidden = _project(queries, of_query + of_difference)[:, :, tf.newaxis, :] + _meet(elements, matrices)
        hidden = tf.nn.relu(hidden + self.bias)
        weights = _project(hidden, tf.convert_to_tensor(self.output_kernel)) + self.output_bias
        if len(inputs) > 2:
            weights *= tf.cast(inputs[2], weights.dtype)[:, tf.newaxis, :, tf.newaxis]
        if not self.pool:
            return weights * elements[:, tf.newaxis, :, :]
        return tf.matmul(weights[..., 0], elements)

    def compute_output_shape(self, input_shape):
        (_, queries, width), (batch, length, _), *_ = (tuple(shape) for shape in input_shape)
        return (batch, queries, width) if self.pool else (batch, queries, length, width)

    def get_config(self):
        return {**super().get_config(), "pool": self.pool, "units": self.units, "seed": self.seed}


def _meet(elements: tf.Tensor, matrices: tf.Tensor) -> tf.Tensor:
    """Elements (B, L, E) times the matrices (B, Q, E, U) of each row's queries, or (1, Q, E, U): (B, Q, L, U)."""
    _, queries, width, units = matrices.shape
    rows, length = tf.shape(elements)[0], tf.shape(elements)[1]
    side_by_side = tf.reshape(tf.transpose(matrices, [0, 2, 1, 3]), [-1, width, queries * units])
    if matrices.shape[0] == 1:
        met = tf.matmul(tf.reshape(elements, [-1, width]), side_by_side[0])
    else:
        met = tf.matmul(elements, side_by_side)
    return tf.transpose(tf.reshape(met, [rows, length, queries, units]), [0, 2, 1, 3])


def _project(vectors: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The product (..., units) of vectors (..., D) and a matrix.

    Flat, as `tf.matmul` of a (B, 1, L, D) tensor and a matrix corrupts memory in TensorFlow 2.21 with oneDNN.
    """
    flat = tf.matmul(tf.reshape(vectors, [-1, kernel.shape[0]]), kernel)
    return tf.reshape(flat, tf.concat([tf.shape(vectors)[:-1], [kernel.shape[1]]], axis=0))
