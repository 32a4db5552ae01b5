"""HIT, the hierarchical interaction-enhanced two-tower model."""

import tensorflow as tf

from features import FeatureSpec
from layers import GenerationLoss, MaxSim, MimicGenerator, MultiHeadRepresenter, Tower
from models import scorers
from models.base import State, TwoTowerModel
from models.hit.options import ENTRY, HITOptions
from models.inputs import EncodedSide, Inputs
from models.mixture import HeadMixture
from prerank.errors import InputError

_KINDS = {"target": ("target",), "non_target": ("non_target",), "both": ("target", "non_target")}


@ENTRY
class HIT(TwoTowerModel):
    """Generators as early interaction, several heads a side as late interaction.

    Yang et al., arXiv 2505.19849. From its static fields each side generates mimics of the other side's heads, one
    for positives ("target") and one for negatives ("non_target"); they join its tower's input, cut off from the
    tower's gradient. The tower's output is projected to heads, and the score is `Σ_h max_k <u_h, v_k>`.

    Two defaults differ from the published ones, as they do better on MovieLens-1M's validation part: heads have
    length 1 and the score a learned scale, and the towers lack the last layer, 32 wide, whose dropout costs the most.
    """

    options: HITOptions
    user_state: tuple[str, ...] = ("user_heads",)
    item_state: tuple[str, ...] = ("item_heads",)

    def __init__(self, spec: FeatureSpec, options: HITOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        if not spec.user_static or not spec.item_static:
            raise InputError(f"--model_name hit: data set {spec.dataset!r} names no static fields for the generators")
        self.kinds = () if options.generation_loss == "none" else _KINDS[options.generators]
        self.encoder = self.make_encoder()
        self.user_generators = self._generators(options.item_heads * options.head_dim, "user")
        self.item_generators = self._generators(options.user_heads * options.head_dim, "item")
        self.user_dnn, self.user_representer = self._tower(options.user_heads, "user")
        self.item_dnn, self.item_representer = self._tower(options.item_heads, "item")
        self._mixture: HeadMixture | None = None
        if options.scorer == "mol":
            self._mixture = HeadMixture(options, options.user_heads * options.item_heads, self.next_seed)
            self.mixture_layers = self._mixture.layers
            self.user_state, self.item_state = HeadMixture.user_state, HeadMixture.item_state
        else:
            self.scorer = MaxSim(scaled=options.similarity == "scaled_cosine", name="scorer")
        loss = options.generation_loss
        self.generation_loss = None if loss == "none" else GenerationLoss(loss)

    def _generators(self, units: int, side: str) -> dict[str, MimicGenerator]:
        activation = self.options.generator_output_activation
        return {
            kind: MimicGenerator(units, activation, seed=self.next_seed(), name=f"{side}_{kind}_generator")
            for kind in self.kinds
        }

    def _tower(self, heads: int, side: str) -> tuple[Tower, MultiHeadRepresenter]:
        options = self.options
        tower = Tower(options.hidden_units, None, options.dropout, seed=self.next_seed(), name=f"{side}_dnn")
        representer = MultiHeadRepresenter(
            heads,
            options.head_dim,
            normalize=options.similarity == "scaled_cosine" or options.scorer == "mol",
            seed=self.next_seed(),
            name=f"{side}_representer",
        )
        return tower, representer

    def _mimics(self, generators: dict[str, MimicGenerator], encoded: EncodedSide, static: tuple[str, ...]) -> State:
        if not generators:
            return {}
        fields = encoded.concat(static)
        return {kind: generator(fields) for kind, generator in generators.items()}

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        encoded = self.encoder(inputs, "user")
        mimics = self._mimics(self.user_generators, encoded, self.spec.user_static)
        tower_input = tf.concat([encoded.concat(), *map(tf.stop_gradient, mimics.values())], axis=-1)
        hidden = self.user_dnn(tower_input, training=training)
        gate = {} if self._mixture is None else {"user_gate": self._mixture.user_gate(hidden)}
        return {"user_heads": self.user_representer(hidden), **gate, **mimics}

    def encode_item(self, inputs: Inputs, training: bool | None = None) -> State:
        encoded = self.encoder(inputs, "item")
        mimics = self._mimics(self.item_generators, encoded, self.spec.item_static)
        tower_input = tf.concat([encoded.concat(), *map(tf.stop_gradient, mimics.values())], axis=-1)
        hidden = self.item_dnn(tower_input, training=training)
        gate = {} if self._mixture is None else {"item_gate": self._mixture.item_gate(hidden)}
        return {"item_heads": self.item_representer(hidden), **gate, **mimics}

    def similarity(self, user: State, item: State) -> tf.Tensor:
        if self._mixture is not None:
            return self._mixture.similarity(user, item)
        return self.scorer([user["user_heads"], item["item_heads"]])

    def trained_scores(self, user: State, item: State, training: bool | None) -> tuple[tf.Tensor, State]:
        if self._mixture is None:
            return super().trained_scores(user, item, training)
        score, weights = self._mixture.trained(user, item, training)
        return score + self.bias, weights

    def scorer_spec(self) -> scorers.ScorerSpec:
        return scorers.max_sim(self.scorer) if self._mixture is None else self._mixture.scorer_spec()

    def auxiliary_losses(self, labels: tf.Tensor, user: State, item: State) -> dict[str, tf.Tensor]:
        """The mixture's load balance, and the generation loss: up to four terms, a mimic against the opposite heads."""
        losses = {} if self._mixture is None else self._mixture.losses(item)
        if self.generation_loss is None:
            return losses
        labels = tf.cast(labels, tf.float32)
        selected = {"target": labels, "non_target": 1.0 - labels}
        opposite_of_user = _flatten(item["item_heads"])
        opposite_of_item = _flatten(user["user_heads"])
        terms = []
        for kind in self.kinds:
            terms.append(self.generation_loss([user[kind], opposite_of_user, selected[kind]]))
            terms.append(self.generation_loss([item[kind], opposite_of_item, selected[kind]]))
        return losses | {"generation": self.options.generation_weight * tf.add_n(terms)}


def _flatten(heads: tf.Tensor) -> tf.Tensor:
    return tf.reshape(heads, [-1, heads.shape[1] * heads.shape[2]])
