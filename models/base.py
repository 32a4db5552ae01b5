"""What every pre-ranking model is."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from features import FeatureSpec, Field
from layers.lookup_plan import LookupPlan, with_gathered
from models.batch import Batch, as_batch
from models.columns import columns
from models.contracts import Objective, ReadColumns, RunningMeans, Scored, State, cross_entropy, of_logit
from models.inputs import FeatureEncoder, Inputs, paired
from models.options import ModelOptions
from models.scorers import ScorerSpec

__all__ = [
    "Objective",
    "PreRankingModel",
    "ReadColumns",
    "Scored",
    "State",
    "TwoTowerModel",
    "cross_entropy",
    "of_logit",
]

_SEEDS_PER_MODEL = 100_000
_SEEDS_PER_TASK = 5_000
_SEEDS_PER_LAYER = 16


def _example(field: Field) -> tf.Tensor:
    if field.kind == "dense":
        return tf.zeros([2])
    return tf.zeros([2] if field.kind == "sparse" else [2, field.max_length], tf.int32)


class PreRankingModel(tf.keras.Model):
    """A model from the features of a batch of (user, item) rows to logits.

    Subclasses define `call` and, where cross-entropy alone does not train them, `row_losses`.

    Args:
        spec: the data set's feature specification.
        options: the model's options.
        seed: seed of the initial weights and dropout masks.
        xla: use only operations that XLA compiles; slower elsewhere.
        task: which of several tasks the model is for, so that its seeds are not those of the others.

    Attributes:
        options_class: the class of `options`, set by the registry.
        trains_bias: whether the loss depends on the bias that is added to every score; None: the class gives another.
        first_seed: its layers' seeds begin here, counted from the model's seed.
        encoder: what embeds the features, where a model has one; its look-ups are planned ahead.
        objective: what training minimises; None for the model's own loss of the rows, whatever their weights.
    """

    options_class: ClassVar[type[ModelOptions]]
    trains_bias: ClassVar[bool | None] = True
    first_seed: ClassVar[int] = 0
    encoder: FeatureEncoder  # no default: Keras does not track the weights of what hides an attribute of its class

    def __init__(
        self, spec: FeatureSpec, options: ModelOptions, seed: int = 0, xla: bool = False, task: int = 0, **kwargs
    ):
        # The layers follow the precision policy; logits, bias and inputs stay in float32.
        super().__init__(dtype="float32", **kwargs)
        self.xla = xla
        self.seed = seed
        self.spec = spec
        self.options = options
        first = seed * _SEEDS_PER_MODEL + self.first_seed + task * _SEEDS_PER_TASK
        self._seeds = itertools.count(first, _SEEDS_PER_LAYER)
        self._means = RunningMeans()
        self.objective: Objective | None = None
        if self.trains_bias is not None:
            self.bias = self.add_weight(name="bias", shape=(), initializer="zeros", trainable=self.trains_bias)

    def get_config(self) -> dict[str, Any]:
        """What :meth:`from_config` rebuilds the model from, JSON values only."""
        options = self.options.model_dump(mode="json")
        return {"spec": self.spec.to_dict(), "options": options, "seed": self.seed, "xla": self.xla, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "PreRankingModel":
        """Inverse of :meth:`get_config`; the weights are new."""
        options = cls.options_class(**config["options"])
        return cls(**{**config, "spec": FeatureSpec.from_dict(config["spec"]), "options": options})

    def compile(self, optimizer: tf.keras.optimizers.Optimizer, **kwargs: Any) -> None:
        """As Keras does, and the loss is scaled in half precision (Keras goes by the model's own policy, float32)."""
        if tf.keras.mixed_precision.global_policy().compute_dtype == "float16":
            optimizer = tf.keras.mixed_precision.LossScaleOptimizer(optimizer)
        super().compile(optimizer=optimizer, **kwargs)

    def next_seed(self) -> int:
        """A seed that no other layer of this model has, nor any layer of a model of another seed."""
        return next(self._seeds)

    def make_encoder(
        self, keep: Sequence[str] = (), embedding_dim: int | None = None, name: str = "encoder", **more: Any
    ) -> FeatureEncoder:
        """A feature encoder for both sides of the data set, with a table of its own; see :class:`FeatureEncoder`."""
        dim = embedding_dim or self.options.embedding_dim
        user, item = columns(self.spec, "user", dim), columns(self.spec, "item", dim)
        return FeatureEncoder(user, item, keep, seed=self.next_seed(), xla=self.xla, name=name, **more)

    def plan_lookups(self) -> LookupPlan | None:
        """What the input pipeline is to compute of a batch ahead of :meth:`train_step`, and add to its inputs."""
        return self.encoder.plan() if hasattr(self, "encoder") and not self.xla else None

    def build_weights(self) -> None:
        """Create all weights, by a call on two empty rows."""
        self({field.name: _example(field) for field in self.spec.fields})

    def call(self, inputs: Inputs, training: bool | None = None) -> tf.Tensor:
        """Logits (B,) float32 of a batch; `inputs` by field name, indices int32 (B,) or (B, L), numbers (B,)."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward pass")

    def named_outputs(self, inputs: Inputs) -> dict[str, tf.Tensor]:
        """All that a trained model says of rows, by name, each (B,) float32, in inference mode.

        `logit` is what ranks. `probability` is that of a positive, if the model is calibrated. A model of several tasks
        has `logit_<task>` and `probability_<task>` too. (Keras has `outputs` for itself.)
        """
        return of_logit(self(inputs, training=False))

    def preference(self, inputs: Inputs) -> tf.Tensor:
        """The logits (B,) float32 of the probability of a positive, in inference mode: what rated rows are judged by.

        They are what ranks, unless a model ranks by more than the preference.
        """
        return self(inputs, training=False)

    def scored(
        self,
        inputs: Inputs,
        users: tf.Tensor | None = None,
        items: tf.Tensor | None = None,
        training: bool = True,
    ) -> Scored:
        """Score pairs of a batch.

        Args:
            inputs: features of the user's side (U, ...), and of the item's side (I, ...).
            users: (P,) int32, places of the pairs' users among U; None: the pairs are the rows of the batch, in order.
            items: (P,) int32, places of the pairs' items among I; None as `users`.
            training: whether elements are dropped, as in training.
        """
        if users is not None and items is not None:
            inputs = paired(inputs, self.spec, users, items)
        return Scored(self(inputs, training=training), {}, {})

    def row_losses(
        self, inputs: Inputs, labels: tf.Tensor, scored: Scored, weights: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """The model's own loss of labelled rows, as terms, scalars by name.

        Args:
            inputs: the features of the rows.
            labels: (B,), 0 or 1.
            scored: the rows' logits (B,), and what the towers give of them.
            weights: (B,), of the rows in cross-entropy; None for 1 each.
        """
        return {"cross_entropy": cross_entropy(labels, scored.logits, weights)}

    def loss_terms(self, inputs: Inputs, labels: tf.Tensor) -> dict[str, tf.Tensor]:
        """The terms of the model's own loss, scalars by name; `labels` (B,) is 0 or 1."""
        return self.row_losses(inputs, labels, self.scored(inputs))

    def fit_directly(self, read: ReadColumns) -> bool:
        """Train without gradient steps, where a model can.

        Args:
            read: gives the training part's columns.

        Returns:
            Whether the model is trained now.
        """
        return False

    def prepare(self, read: ReadColumns) -> None:
        """Count what the loss needs of the training part, before the first gradient step.

        What is counted has to be in the weights, under a name with `log_popularity`. So a resumed training has it, and
        one that begins from other weights counts anew.

        Args:
            read: gives the training part's columns, with ids masked as in training.
        """

    def save_trained(self, folder: Path) -> None:
        """Write what training has fitted to `folder`, for :meth:`load_trained`."""
        self.save_weights(str(folder / "best.weights.h5"))

    def load_trained(self, folder: Path) -> None:
        """Read what :meth:`save_trained` wrote."""
        self.load_weights(str(folder / "best.weights.h5"))

    def parameters(self) -> int:
        """How many numbers training has fitted."""
        return int(sum(np.prod(weight.shape) for weight in self.trainable_weights))

    def plan_training(self, epochs: int, steps: int) -> None:
        """Told once before training how many epochs of how many steps are planned; a model with a schedule keeps it.

        What it keeps has to be in the weights, so that a resumed training goes on with it.
        """

    def may_stop(self) -> bool:
        """Whether training may stop early at this point of its schedule."""
        return True

    def diagnostics(self, batches: tf.data.Dataset) -> dict[str, float]:
        """What else to record at the end of an epoch, by name, from the validation part's :class:`Batch`es."""
        return {}

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One optimizer step on a batch; returns the running means of the loss and its terms.

        Args:
            data: a :class:`Batch`, or features and labels. Of a batch that several replicas share each one's loss is
                weighted by its share, as the gradients of all replicas are summed.
        """
        batch = as_batch(data)
        rows = self.gather(batch.plan)
        with tf.GradientTape() as tape:
            if rows is not None:
                tape.watch(rows)
            terms = self.losses(batch, rows)
            total = tf.add_n(list(terms.values()))
            objective = batch.share * total
        self._minimize(objective, tape, rows, batch.plan)
        return self._means.update({"loss": total, **terms}, batch.share)

    def predict_step(self, data: Any) -> tf.Tensor:
        """The :meth:`preference` (B,) for the rows of a batch, or of features only."""
        return self.preference(data if isinstance(data, Mapping) else as_batch(data).features)

    def gather(self, plan: Mapping[str, tf.Tensor]) -> tf.Tensor | None:
        """The embeddings of the table rows that a planned batch needs; None without a plan.

        (U, E), each row once; with compiled `kernels` (S, E), summed by the plan's slots.
        """
        return self.encoder.gather(plan) if hasattr(self, "encoder") else None

    def losses(self, batch: Batch, rows: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """The terms of what is minimised, scalars by name, with the embeddings taken from gathered `rows` if any."""
        inputs = batch.features if rows is None else self.encoder.embed(batch.features, batch.plan, rows)
        if self.objective is None:
            return self.loss_terms(inputs, batch.labels)
        return self.objective(self, inputs, batch)

    @property
    def trained_variables(self) -> list[tf.Variable]:
        """What a training step changes: the model's weights, and what its objective has beside them."""
        return [*self.trainable_variables, *(() if self.objective is None else self.objective.variables)]

    def _minimize(
        self, total: tf.Tensor, tape: tf.GradientTape, rows: tf.Tensor | None, plan: Mapping[str, tf.Tensor]
    ) -> None:
        variables = self.trained_variables
        if rows is None:
            self.optimizer.minimize(total, variables, tape=tape)
            return
        *pairs, (of_rows, _) = self.optimizer.compute_gradients(total, [*variables, rows], tape=tape)
        gradients = {variable.ref(): gradient for gradient, variable in pairs}
        embedding = self.encoder.embedding
        table = embedding.table.ref()
        gradients[table] = with_gathered(gradients[table], of_rows, rows, plan, embedding.kernels)
        self.optimizer.apply_gradients([(gradient, key.deref()) for key, gradient in gradients.items()])

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """The running means, which Keras resets before each epoch."""
        return list(self._means.metrics.values())


class TwoTowerModel(PreRankingModel):
    """A decoupled model: the user and item sides meet only in `score`.

    Subclasses define `encode_user`, `encode_item` and `similarity`. What the encoders return beyond the state is for
    `auxiliary_losses`.

    Attributes:
        user_state, item_state: names of the tensors that make up a side's state, prefixed `user_` and `item_`.
    """

    user_state: tuple[str, ...]
    item_state: tuple[str, ...]

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        """The user state and what the auxiliary losses need, each with a leading batch axis."""
        raise NotImplementedError(f"{type(self).__name__} defines no user encoder")

    def encode_item(self, inputs: Inputs, training: bool | None = None) -> State:
        """The item state and what the auxiliary losses need, each with a leading batch axis."""
        raise NotImplementedError(f"{type(self).__name__} defines no item encoder")

    def similarity(self, user: State, item: State) -> tf.Tensor:
        """Similarity (N,) of users (leading axis N or 1) and items (leading axis N)."""
        raise NotImplementedError(f"{type(self).__name__} defines no similarity")

    def auxiliary_losses(self, labels: tf.Tensor, user: State, item: State) -> dict[str, tf.Tensor]:
        """Weighted loss terms beside cross-entropy, scalars by name."""
        return {}

    def user_tower(self, inputs: Inputs) -> State:
        """The user state, in inference mode; `inputs` needs the user's fields only."""
        encoded = self.encode_user(inputs, training=False)
        return {name: encoded[name] for name in self.user_state}

    def item_tower(self, inputs: Inputs) -> State:
        """The item state, in inference mode; `inputs` needs the item's fields only."""
        encoded = self.encode_item(inputs, training=False)
        return {name: encoded[name] for name in self.item_state}

    def score(self, user: State, item: State) -> tf.Tensor:
        """Logits (N,) float32 of users (leading axis N or 1) and items (leading axis N)."""
        return tf.cast(self.similarity(user, item), tf.float32) + tf.cast(self.bias, tf.float32)

    def named_scores(self, user: State, item: State) -> dict[str, tf.Tensor]:
        """As :meth:`named_outputs`, of states as :meth:`score` takes them."""
        return of_logit(self.score(user, item))

    def scorer_spec(self) -> ScorerSpec | None:
        """What `similarity` computes, by the trained weights; None: a server has to run the exported `score`."""
        return None

    def trained_scores(self, user: State, item: State, training: bool | None) -> tuple[tf.Tensor, State]:
        """The logits (P,) of pairs, as :meth:`score`, of a model whose similarity differs in training.

        Returns:
            The logits, and by name what else :meth:`auxiliary_losses` is to find of the pairs among the items' states.
        """
        return self.score(user, item), {}

    def call(self, inputs: Inputs, training: bool | None = None) -> tf.Tensor:
        user, item = self.encode_user(inputs, training), self.encode_item(inputs, training)
        return self.trained_scores(user, item, training)[0]

    def scored(
        self,
        inputs: Inputs,
        users: tf.Tensor | None = None,
        items: tf.Tensor | None = None,
        training: bool = True,
    ) -> Scored:
        """As for every model; each user and each item is encoded once, whatever the number of its pairs."""
        user, item = self.encode_user(inputs, training), self.encode_item(inputs, training)
        of_user, of_item = user, item
        if users is not None and items is not None:
            of_user = {name: tf.gather(user[name], users) for name in self.user_state}
            of_item = {name: tf.gather(item[name], items) for name in self.item_state}
        logits, of_pairs = self.trained_scores(of_user, of_item, training)
        return Scored(logits, user, {**item, **of_pairs})

    def row_losses(
        self, inputs: Inputs, labels: tf.Tensor, scored: Scored, weights: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        terms = super().row_losses(inputs, labels, scored, weights)
        return terms | self.auxiliary_losses(labels, scored.user, scored.item)
