"""Adam that leaves alone the embedding rows that a batch did not touch."""

import tensorflow as tf

from layers.lookup_plan import AdamConstants, DistinctRows, SlotGradient


@tf.keras.utils.register_keras_serializable(package="prerank")
class LazyAdam(tf.keras.optimizers.Optimizer):
    """Adam (Kingma & Ba, ICLR 2015) whose embedding rows move only when a batch looks them up.

    Adam decays the moments of every row and moves every row with a moment at every step, which costs time and memory
    traffic in proportion to the tables. Here the moments and values of a row change only in steps whose batch holds it.
    The bias correction counts all steps, as in Adam. A variable whose gradient is dense is updated by plain Adam.

    The L2 penalty `l2 · Σ w²` counts the looked-up rows only, each once a step; its gradient `2 · l2 · w` is added
    here, so it is not part of the reported loss.

    Args:
        learning_rate: step size.
        beta_1, beta_2, epsilon: Adam's constants.
        embedding_l2: rate of the L2 penalty on looked-up embedding rows.
    """

    def __init__(
        self,
        learning_rate: float = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        embedding_l2: float = 0.0,
        name: str = "LazyAdam",
        **kwargs,
    ):
        kwargs.setdefault("jit_compile", False)
        kwargs.setdefault("weight_decay", None)  # Keras's default of 0 multiplies every table by 0, each step
        super().__init__(name=name, **kwargs)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.embedding_l2 = embedding_l2

    def build(self, var_list):
        """Create both moments of every variable."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._built = True
        self._first = [self.add_variable_from_reference(variable, "m") for variable in var_list]
        self._second = [self.add_variable_from_reference(variable, "v") for variable in var_list]

    def _deduplicate_sparse_grad(self, grads):
        """As Keras does, but leaves alone what is known to hold each row once."""
        distinct = [isinstance(gradient, DistinctRows | SlotGradient) for gradient in grads]
        others = super()._deduplicate_sparse_grad(
            [None if known else gradient for known, gradient in zip(distinct, grads, strict=True)]
        )
        return [a if known else b for known, a, b in zip(distinct, grads, others, strict=True)]

    def update_step(self, gradient, variable):
        """Update `variable` and its moments; an indexed gradient holds each row once."""
        index = self._index_dict[self._var_key(variable)]
        first, second = self._first[index], self._second[index]
        if isinstance(gradient, tf.IndexedSlices):
            self._update_rows(gradient, variable, first, second)
            return
        powers = self._beta_powers(variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=first.handle,
            v=second.handle,
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=tf.cast(self.learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )

    def _beta_powers(self, dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        step = tf.cast(self.iterations + 1, dtype)
        return tf.pow(tf.cast(self.beta_1, dtype), step), tf.pow(tf.cast(self.beta_2, dtype), step)

    def _update_rows(self, slices: tf.IndexedSlices, variable, first, second) -> None:
        dtype = variable.dtype
        power_1, power_2 = self._beta_powers(dtype)
        rate = tf.cast(self.learning_rate, dtype) * tf.sqrt(1 - power_2) / (1 - power_1)
        if isinstance(slices, SlotGradient):
            constants = AdamConstants(self.beta_1, self.beta_2, self.epsilon, self.embedding_l2)
            slices.kernels.lazy_adam(variable, (first, second), slices.of_slots, slices.plan, rate, constants)
            return
        rows, gradient = slices.indices, slices.values
        values = slices.rows if isinstance(slices, DistinctRows) else tf.gather(variable, rows)
        if self.embedding_l2:
            gradient += 2 * self.embedding_l2 * values
        new_first = self.beta_1 * tf.gather(first, rows) + (1 - self.beta_1) * gradient
        new_second = self.beta_2 * tf.gather(second, rows) + (1 - self.beta_2) * tf.square(gradient)
        first.scatter_update(tf.IndexedSlices(new_first, rows))
        second.scatter_update(tf.IndexedSlices(new_second, rows))
        # A row is written whole, which takes half the time of subtracting in place.
        values -= rate * new_first / (tf.sqrt(new_second) + self.epsilon)
        variable.scatter_update(tf.IndexedSlices(values, rows))

    def get_config(self):
        return {
            **super().get_config(),
            "learning_rate": self._serialize_hyperparameter(self._learning_rate),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "embedding_l2": self.embedding_l2,
        }
