"""The mixture of logits of a model's heads: its layers, and what they say in training and serving."""

from collections.abc import Callable

import tensorflow as tf

from layers import MixtureBalanceLoss, MixtureGate, MixtureOfLogits
from models.contracts import State
from models.options import MixtureOptions
from models.scorers import ScorerSpec, mixture

_WEIGHTS = "item_mixture"


class HeadMixture:
    """Scores the states `user_heads`, `user_gate`, `item_heads` and `item_gate` by a mixture of logits.

    It is no layer, so that its layers are the model's own. MoL (Zhai et al., KDD 2023, arXiv 2306.04039).

    Args:
        options: the model's options.
        pairs: how many pairs of heads there are.
        next_seed: gives a seed for each layer.
    """

    user_state = ("user_heads", "user_gate")
    item_state = ("item_heads", "item_gate")

    def __init__(self, options: MixtureOptions, pairs: int, next_seed: Callable[[], int]):
        hidden = options.mixture_hidden
        self.user_gate = MixtureGate(pairs, hidden, seed=next_seed(), name="user_gate")
        self.item_gate = MixtureGate(pairs, hidden, seed=next_seed(), name="item_gate")
        self.scorer = MixtureOfLogits(
            hidden, options.mixture_temperature, options.mixture_dropout, seed=next_seed(), name="scorer"
        )
        self._balance = MixtureBalanceLoss(name="balance")
        self._weight = options.mixture_balance

    @property
    def layers(self) -> list[tf.keras.layers.Layer]:
        """The layers with weights, which a model keeps as an attribute, so that Keras finds them."""
        return [self.user_gate, self.item_gate, self.scorer]

    def similarity(self, user: State, item: State) -> tf.Tensor:
        """Scores (N,) in inference mode of users (leading axis N or 1) and items (leading axis N)."""
        return self.scorer([user["user_heads"], item["item_heads"], user["user_gate"], item["item_gate"]])

    def trained(self, user: State, item: State, training: bool | None) -> tuple[tf.Tensor, State]:
        """Scores (P,) of pairs, and for :meth:`losses` the weights of each pair's products."""
        parts = [user["user_heads"], item["item_heads"], user["user_gate"], item["item_gate"]]
        score, weights = self.scorer(parts, training=training, return_weights=True)
        return score, {_WEIGHTS: weights}

    def losses(self, item: State) -> dict[str, tf.Tensor]:
        """The load balance of rows, of what :meth:`trained` gave of them."""
        return {"mixture_balance": self._weight * self._balance(item[_WEIGHTS])} if self._weight else {}

    def scorer_spec(self) -> ScorerSpec:
        """What :meth:`similarity` computes."""
        return mixture(self.scorer)
