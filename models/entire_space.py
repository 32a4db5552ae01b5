"""The entire-space factorisation, `p(exposed | u, v) · p(positive | exposed, u, v)`, of any model."""

from typing import Any

import numpy as np
import tensorflow as tf

from models import registry
from models.base import PreRankingModel, ReadColumns, Scored, State, TwoTowerModel
from models.exposure import Exposure
from models.exposure_options import ExposureOptions
from models.inputs import FeatureEncoder, Inputs
from models.scorers import ScorerSpec
from prerank.errors import InputError

TASKS = [
    {"name": "positive", "given": "exposed", "probability": "probability", "log_odds": True},
    {"name": "exposed", "logit": "logit_exposed", "probability": "probability_exposed", "log_odds": False},
]
"""What `features.json` says of the outputs: `logit` ranks, by the product of the tasks' probabilities."""
_PREFERENCE, _EXPOSURE = "preference/logits", "exposure/vectors"
"""Beside what an inner model's towers give, with names that none of them has."""


class EntireSpaceModel(PreRankingModel):
    """A model of what is liked among the items shown, with one of what is shown beside it.

    After the factorisation of ESMM (Ma et al., SIGIR 2018), whose first step is here from the catalogue to what is
    shown. The inner model is trained as it is without this one, by the same batches, and gives the same probability:
    the two share no weight. What ranks the whole catalogue is the logarithm of the product,

        log σ(preference) + exposure

    where `exposure` is the log probability that an exposure of the user shows the item, see :class:`Exposure`.

    Args:
        inner: a new model whose logit is that of the probability of a positive, given exposure. This model takes its
            specification, options, seed and name.
        exposure: options of the exposure part.
    """

    trains_bias = None
    first_seed = 50_000  # no inner model has so many layers

    def __init__(self, inner: PreRankingModel, exposure: ExposureOptions):
        super().__init__(inner.spec, inner.options, seed=inner.seed, xla=inner.xla, name=inner.name)
        self.exposure_options = exposure
        self.inner = inner
        self.bias = inner.bias
        options = inner.options
        self.exposure = Exposure(
            inner.spec,
            options.embedding_dim,
            options.dropout,
            exposure.exposure_scale,
            self.next_seed,
            inner.xla,
            name="exposure",
        )

    def get_config(self) -> dict[str, Any]:
        return {**self.inner.get_config(), "exposure": self.exposure_options.model_dump(mode="json")}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "PreRankingModel":
        exposure = ExposureOptions(**config["exposure"])
        of_inner = {name: value for name, value in config.items() if name != "exposure"}
        return cls(registry.get(config["name"]).model.from_config(of_inner), exposure)

    @property
    def encoder(self) -> FeatureEncoder:  # type: ignore[override]
        """That of the inner model, whose look-ups are planned ahead, if it has one."""
        return self.inner.encoder

    def set_popularity(self, log_popularity: np.ndarray) -> None:
        """Set the log probabilities (vocabulary,) that an exposure shows an item, by the item id's index."""
        self.exposure.set_popularity(log_popularity)

    def call(self, inputs: Inputs, training: bool | None = None) -> tf.Tensor:
        return self._named(self.inner(inputs, training), self._exposed(inputs, training))["logit"]

    def named_outputs(self, inputs: Inputs) -> dict[str, tf.Tensor]:
        return self._named(self.preference(inputs), self._exposed(inputs, training=False))

    def preference(self, inputs: Inputs) -> tf.Tensor:
        return self.inner.preference(inputs)

    def _exposed(self, inputs: Inputs, training: bool | None) -> tf.Tensor:
        return self.exposure.logits(self.exposure.user(inputs, training), self.exposure.item(inputs, training))

    def _named(self, preference: tf.Tensor, exposure: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "logit": tf.math.log_sigmoid(preference) + exposure,
            "probability": tf.sigmoid(preference),
            "logit_exposed": exposure,
            "probability_exposed": tf.sigmoid(exposure),
        }

    def scored(
        self,
        inputs: Inputs,
        users: tf.Tensor | None = None,
        items: tf.Tensor | None = None,
        training: bool = True,
    ) -> Scored:
        """As for every model, but that losses of the logits train the exposure part only.

        Losses over lists and of teachers want an order, and would take the calibration from the preference.
        """
        inner = self.inner.scored(inputs, users, items, training)
        user, item = self.exposure.user(inputs, training), self.exposure.item(inputs, training)
        of_user = user if users is None else tf.gather(user, users)
        of_item = item if items is None else tf.gather(item, items)
        logits = tf.math.log_sigmoid(tf.stop_gradient(inner.logits)) + self.exposure.logits(of_user, of_item)
        return Scored(
            logits, {**inner.user, _PREFERENCE: inner.logits, _EXPOSURE: user}, {**inner.item, _EXPOSURE: item}
        )

    def row_losses(
        self, inputs: Inputs, labels: tf.Tensor, scored: Scored, weights: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        rated = Scored(scored.user[_PREFERENCE], scored.user, scored.item)
        terms = self.inner.row_losses(inputs, labels, rated, weights)
        rows = tf.ones_like(rated.logits) if weights is None else weights
        exposure = self.exposure.loss(inputs, scored.user[_EXPOSURE], scored.item[_EXPOSURE], rows)
        return {**terms, "exposure": self.exposure_options.exposure_weight * exposure}

    def prepare(self, read: ReadColumns) -> None:
        self.inner.prepare(read)

    def plan_training(self, epochs: int, steps: int) -> None:
        self.inner.plan_training(epochs, steps)

    def may_stop(self) -> bool:
        return self.inner.may_stop()

    def diagnostics(self, batches: tf.data.Dataset) -> dict[str, float]:
        return self.inner.diagnostics(batches)


class EntireSpaceTwoTower(EntireSpaceModel, TwoTowerModel):
    """The factorisation of a decoupled model: users and items have one more vector each."""

    inner: TwoTowerModel

    def __init__(self, inner: TwoTowerModel, exposure: ExposureOptions):
        super().__init__(inner, exposure)
        self.user_state = (*inner.user_state, "user_exposure")
        self.item_state = (*inner.item_state, "item_exposure")

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        return {**self.inner.encode_user(inputs, training), "user_exposure": self.exposure.user(inputs, training)}

    def encode_item(self, inputs: Inputs, training: bool | None = None) -> State:
        return {**self.inner.encode_item(inputs, training), "item_exposure": self.exposure.item(inputs, training)}

    def score(self, user: State, item: State) -> tf.Tensor:
        return self.named_scores(user, item)["logit"]

    def named_scores(self, user: State, item: State) -> dict[str, tf.Tensor]:
        exposure = self.exposure.logits(user["user_exposure"], item["item_exposure"])
        return self._named(self.inner.score(user, item), exposure)

    def scorer_spec(self) -> ScorerSpec | None:
        spec = self.inner.scorer_spec()
        return None if spec is None else spec.within("entire_space")


def factorised(inner: PreRankingModel, exposure: ExposureOptions) -> EntireSpaceModel:
    """The entire-space model of a new model.

    Raises:
        InputError: the model is fitted without gradient steps, so that there are none for the exposure part.
    """
    if type(inner).fit_directly is not PreRankingModel.fit_directly:
        raise InputError(f"--entire_space: expected a model that is trained by gradient steps. Received: {inner.name}")
    if isinstance(inner, TwoTowerModel):
        return EntireSpaceTwoTower(inner, exposure)
    return EntireSpaceModel(inner, exposure)
