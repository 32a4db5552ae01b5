"""The floor: logistic regression on two means."""

import numpy as np
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

from features import FeatureSpec
from models import scorers
from models.base import ReadColumns, State, TwoTowerModel
from models.inputs import Inputs
from models.options import ModelOptions
from models.target_means.options import ENTRY
from prerank.errors import InputError


@ENTRY
class TargetMeans(TwoTowerModel):
    """Logistic regression on the mean label of the user and that of the item, nothing else.

    What a model has to beat to have learned anything beyond how generous a user and how popular an item is. Fitted by
    scikit-learn without gradient steps, with the rows' weights if they have some. Being linear, it is a two-tower model
    of one number a side.
    """

    user_state = ("user_logit",)
    item_state = ("item_logit",)

    def __init__(self, spec: FeatureSpec, options: ModelOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        if spec.user_mean is None or spec.item_mean is None:
            raise InputError(f"--model_name target_means: data set {spec.dataset!r} has no mean label of user and item")
        self._names = (spec.user_mean, spec.item_mean)
        self.user_weight = self.add_weight(name="user_weight", shape=(), initializer="zeros")
        self.item_weight = self.add_weight(name="item_weight", shape=(), initializer="zeros")

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        return {"user_logit": self.user_weight * tf.cast(inputs[self._names[0]], tf.float32)}

    def encode_item(self, inputs: Inputs, training: bool | None = None) -> State:
        return {"item_logit": self.item_weight * tf.cast(inputs[self._names[1]], tf.float32)}

    def similarity(self, user: State, item: State) -> tf.Tensor:
        return user["user_logit"] + item["item_logit"]

    def scorer_spec(self) -> scorers.ScorerSpec:
        return scorers.additive()

    def fit_directly(self, read: ReadColumns) -> bool:
        weight = [self.spec.beside("weight")] if "weight" in self.spec.row_columns else []
        columns = read([*self._names, self.spec.label, *weight])
        means = np.column_stack([columns[name] for name in self._names]).astype(np.float64)
        rated = columns[self.spec.label] >= 0
        weights = columns[weight[0]][rated] if weight else None
        fitted = LogisticRegression().fit(means[rated], columns[self.spec.label][rated], sample_weight=weights)
        self.user_weight.assign(fitted.coef_[0, 0])
        self.item_weight.assign(fitted.coef_[0, 1])
        self.bias.assign(fitted.intercept_[0])
        return True
