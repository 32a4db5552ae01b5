"""Poly-Encoder: several views of a user, weighed by the item."""

import tensorflow as tf

from features import FeatureSpec
from layers import CodeAttention, DotAttention, NumberEmbedding, ScaledSimilarity, Tower
from models import scorers
from models.base import State, TwoTowerModel
from models.inputs import Inputs
from models.poly_encoder.options import ENTRY, PolyEncoderOptions
from models.tokens import field_tokens


@ENTRY
class PolyEncoder(TwoTowerModel):
    """Learned codes attend over the user's fields and behaviours, and the item over what they found.

    Humeau et al., ICLR 2020, section 4.4, with a user's fields in place of the words of a text: every embedded field,
    every element of the history and every number, projected to one size. The m codes give m user vectors, the user's
    state; the item's vector attends over them by inner products. Neither softmax runs across a batch, as it does in the
    public code of HIT.

    The published score is the inner product of the two vectors. The default is their cosine with a learned scale, as
    inner products of vectors of any length were found to train much worse in DSSM and HIT.
    """

    user_state = ("user_vectors",)
    item_state = ("item_vector",)

    def __init__(self, spec: FeatureSpec, options: PolyEncoderOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        *hidden, width = options.hidden_units
        self.encoder = self.make_encoder(keep=() if spec.history is None else (spec.history,))
        self.numbers = NumberEmbedding(options.embedding_dim, seed=self.next_seed(), name="numbers")
        self.codes = CodeAttention(options.codes, width, seed=self.next_seed(), name="codes")
        self.item_dnn = Tower(hidden, width, options.dropout, seed=self.next_seed(), name="item_dnn")
        self.attention = DotAttention(scaled=False, name="attention")
        self.scorer = ScaledSimilarity(options.similarity, name="scorer")

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        """One vector a code, (B, m, D)."""
        tokens, mask = field_tokens(self.encoder(inputs, "user"), self.numbers)
        return {"user_vectors": self.codes([tokens, mask])}

    def encode_item(self, inputs: Inputs, training: bool | None = None) -> State:
        return {"item_vector": self.item_dnn(self.encoder(inputs, "item").concat(), training=training)}

    def similarity(self, user: State, item: State) -> tf.Tensor:
        seen = self.attention([item["item_vector"], user["user_vectors"], user["user_vectors"]])
        return self.scorer([seen, item["item_vector"]])

    def scorer_spec(self) -> scorers.ScorerSpec:
        return scorers.similarity(self.scorer).within("attention")
