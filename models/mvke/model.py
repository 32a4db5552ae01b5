"""MVKE, the mixture of virtual-kernel experts."""

import tensorflow as tf

from features import FeatureSpec
from layers import CodeAttention, DotAttention, NumberEmbedding, ParallelDense, ScaledSimilarity, Tower
from models import scorers
from models.base import State, TwoTowerModel
from models.inputs import Inputs
from models.mvke.options import ENTRY, MVKEOptions
from models.tokens import field_tokens


@ENTRY
class MVKE(TwoTowerModel):
    """K virtual kernels, each with a view of the user of its own, among which the item chooses.

    Xu et al., KDD 2022. Each kernel attends over the user's projected fields, and what it found passes through a dense
    layer of its own: K user vectors, the user's state. The item's vector attends over the kernels, which are the same
    for all users, and the weights mix the user's vectors to the one that is scored. No softmax runs across a batch, as
    it does in the public code of HIT.
    """

    user_state = ("user_vectors",)
    item_state = ("item_vector",)

    def __init__(self, spec: FeatureSpec, options: MVKEOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        *hidden, width = options.hidden_units
        self.encoder = self.make_encoder()
        self.numbers = NumberEmbedding(options.embedding_dim, seed=self.next_seed(), name="numbers")
        self.virtual_kernels = CodeAttention(options.kernels, width, seed=self.next_seed(), name="virtual_kernels")
        self.experts = ParallelDense(width, seed=self.next_seed(), name="experts")
        self.item_dnn = Tower(hidden, width, options.dropout, seed=self.next_seed(), name="item_dnn")
        self.gate = DotAttention(name="gate")
        self.scorer = ScaledSimilarity(options.similarity, name="scorer")

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        """One vector a kernel, (B, K, D)."""
        tokens, mask = field_tokens(self.encoder(inputs, "user"), self.numbers)
        return {"user_vectors": self.experts(self.virtual_kernels([tokens, mask]))}

    def encode_item(self, inputs: Inputs, training: bool | None = None) -> State:
        return {"item_vector": self.item_dnn(self.encoder(inputs, "item").concat(), training=training)}

    def similarity(self, user: State, item: State) -> tf.Tensor:
        kernels = tf.convert_to_tensor(self.virtual_kernels.code_matrix)[tf.newaxis]
        chosen = self.gate([item["item_vector"], kernels, user["user_vectors"]])
        return self.scorer([chosen, item["item_vector"]])

    def scorer_spec(self) -> scorers.ScorerSpec:
        return scorers.similarity(self.scorer).within("gate", keys=self.virtual_kernels.code_matrix.numpy())
