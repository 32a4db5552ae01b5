"""FIT's meta query module: a few learned queries stand for all items."""

import math

import tensorflow as tf

FINAL_TEMPERATURE = 1e-3


@tf.keras.utils.register_keras_serializable(package="prerank")
class MetaQuery(tf.keras.layers.Layer):
    """Turns an item's attributes into one of N queries, or, in training, into a mixture of them.

    FIT (Xiong et al., SIGIR 2025, arXiv 2509.12948), meta query module. A learned meta matrix M (N, D) attends to
    itself, `Q* = (M Mᵀ) M`. Attributes q (D) give the logits `q Mᵀ / τ`; training uses the soft query
    `softmax(logits) Q*`, inference the hard one, `Q*[argmax]`, whose index is all that an item has to store. The
    temperature `τ = 0.001^(step / total)` brings the two together. It is 1 until :meth:`plan` was called.

    Args:
        vectors: number N of meta vectors.
        seed: seed of the initial meta matrix, Kaiming-uniform.

    Example:
        >>> tuple(MetaQuery(vectors=5)(tf.ones([3, 4])).shape)
        (3, 4)
    """

    def __init__(self, vectors: int, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.vectors = vectors
        self.seed = seed

    def build(self, input_shape):
        width = tuple(input_shape)[-1]
        limit = math.sqrt(6 / width)
        self.meta_matrix = self.add_weight(
            name="meta_matrix",
            shape=(self.vectors, width),
            initializer=tf.keras.initializers.RandomUniform(-limit, limit, seed=self.seed),
            autocast=False,
        )
        self.step = self._counter("step")
        self.total_steps = self._counter("total_steps")
        super().build(input_shape)

    def _counter(self, name):
        return self.add_weight(name=name, shape=(), dtype="int64", initializer="zeros", trainable=False)

    def plan(self, total_steps: int) -> None:
        """Set the number of training steps after which the temperature has fallen to 0.001."""
        self.total_steps.assign(total_steps)

    def temperature(self):
        """The temperature τ of the present step, a float32 scalar."""
        step, total = (tf.cast(tf.convert_to_tensor(count), tf.float32) for count in (self.step, self.total_steps))
        return tf.pow(FINAL_TEMPERATURE, tf.minimum(1.0, tf.math.divide_no_nan(step, total)))

    def queries(self):
        """The query group Q* (N, D), float32."""
        matrix = tf.convert_to_tensor(self.meta_matrix)
        return tf.matmul(tf.matmul(matrix, matrix, transpose_b=True), matrix)

    def similarities(self, attributes):
        """Inner products (B, N) float32 of attributes (B, D) with the meta vectors."""
        return tf.matmul(tf.cast(attributes, tf.float32), tf.convert_to_tensor(self.meta_matrix), transpose_b=True)

    def index(self, attributes):
        """The index (B,) int32 of the hard query of attributes (B, D)."""
        return tf.argmax(self.similarities(attributes), axis=-1, output_type=tf.int32)

    def soft_query(self, attributes):
        """The mixture (B, D) float32 of the query group at the present temperature, for attributes (B, D)."""
        return tf.matmul(tf.nn.softmax(self.similarities(attributes) / self.temperature()), self.queries())

    def hard_query(self, attributes):
        """The query (B, D) float32 of the meta vector closest to attributes (B, D)."""
        return tf.gather(self.queries(), self.index(attributes))

    def call(self, inputs, training=None):
        """Map attributes (B, D) to queries (B, D): soft ones in training, which counts a step, else hard ones."""
        if not training:
            return tf.cast(self.hard_query(inputs), self.compute_dtype)
        query = self.soft_query(inputs)
        self.step.assign_add(tf.ones((), tf.int64))
        return tf.cast(query, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "vectors": self.vectors, "seed": self.seed}
