"""DAT, the dual augmented two-tower model."""

import tensorflow as tf

from features import FeatureSpec
from layers import AdaptiveMimicLoss, CategoryAlignmentLoss, FieldEmbedding, ScaledSimilarity, Tower
from layers.vectors import unit
from models import scorers
from models.base import State, TwoTowerModel
from models.dat.options import ENTRY, DATOptions
from models.inputs import Inputs


@ENTRY
class DAT(TwoTowerModel):
    """An augmented vector a user and an item, which remembers what the other side's positives look like.

    Yu et al., DLP-KDD 2021. Tables of their own, indexed by the two ids, hold the augmented vectors, which join the
    towers' inputs. The adaptive-mimic loss pulls them towards the other side's output on positives; the category
    alignment loss draws the item outputs of all categories to those of the batch's largest. A category of several
    values counts by its first; without a category field there is no alignment.

    The towers' outputs have length 1, as in the paper, but with `similarity="dot"`. The scale of their cosine is
    learned by default, as in DSSM. (The public code of HIT feeds random numbers in place of the augmented vectors.)
    """

    options: DATOptions
    user_state = ("user_vector",)
    item_state = ("item_vector",)

    def __init__(self, spec: FeatureSpec, options: DATOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        *hidden, width = options.hidden_units
        self.encoder = self.make_encoder()
        self.user_augmented = self._augmented(spec.user_id, width, "user")
        self.item_augmented = self._augmented(spec.item_id, width, "item")
        self.user_dnn = Tower(hidden, width, options.dropout, seed=self.next_seed(), name="user_dnn")
        self.item_dnn = Tower(hidden, width, options.dropout, seed=self.next_seed(), name="item_dnn")
        self.scorer = ScaledSimilarity(options.similarity, name="scorer")
        self.mimic_loss = AdaptiveMimicLoss(name="mimic_loss")
        self.category_loss = CategoryAlignmentLoss(name="category_loss")

    def _augmented(self, name: str, width: int, side: str) -> FieldEmbedding:
        rows = {name: self.spec[name].vocabulary_size}
        seed = self.next_seed()
        return FieldEmbedding(rows, {name: name}, width, seed=seed, xla=self.xla, name=f"{side}_augmented")

    def _vector(self, tower: Tower, features: tf.Tensor, augmented: tf.Tensor, training: bool | None) -> tf.Tensor:
        vector = tower(tf.concat([features, augmented], axis=-1), training=training)
        return vector if self.options.similarity == "dot" else unit(vector)

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        augmented = self.user_augmented({self.spec.user_id: inputs[self.spec.user_id]})[self.spec.user_id]
        features = self.encoder(inputs, "user").concat()
        return {"user_vector": self._vector(self.user_dnn, features, augmented, training), "augmented": augmented}

    def encode_item(self, inputs: Inputs, training: bool | None = None) -> State:
        augmented = self.item_augmented({self.spec.item_id: inputs[self.spec.item_id]})[self.spec.item_id]
        features = self.encoder(inputs, "item").concat()
        state = {"item_vector": self._vector(self.item_dnn, features, augmented, training), "augmented": augmented}
        if self.spec.category is not None and training:
            categories = inputs[self.spec.category]
            state["category"] = categories[:, 0] if categories.shape.rank == 2 else categories
        return state

    def similarity(self, user: State, item: State) -> tf.Tensor:
        return self.scorer([user["user_vector"], item["item_vector"]])

    def scorer_spec(self) -> scorers.ScorerSpec:
        return scorers.similarity(self.scorer)

    def auxiliary_losses(self, labels: tf.Tensor, user: State, item: State) -> dict[str, tf.Tensor]:
        """The adaptive-mimic loss of both sides, and the category alignment loss where there are categories."""
        of_user = self.mimic_loss([user["augmented"], item["item_vector"], labels])
        of_item = self.mimic_loss([item["augmented"], user["user_vector"], labels])
        options = self.options
        terms = {"mimic": options.user_mimic_weight * of_user + options.item_mimic_weight * of_item}
        if "category" in item:
            alignment = self.category_loss([item["item_vector"], item["category"]])
            terms["category_alignment"] = options.category_weight * alignment
        return terms
