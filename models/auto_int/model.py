"""AutoInt, a ranking model."""

from features import FeatureSpec
from models.auto_int.options import ENTRY, AutoIntOptions
from models.deepctr import networks
from models.deepctr_model import DeepCTRModel


@ENTRY
class AutoInt(DeepCTRModel):
    """Self-attention over the fields beside a deep network. Song et al., CIKM 2019; deepctr's `AutoInt`.

    As in deepctr, numbers enter the deep network only.
    """

    def __init__(self, spec: FeatureSpec, options: AutoIntOptions, **kwargs):
        further = {
            "att_layer_num": options.attention_layers,
            "att_head_num": options.attention_heads,
            "att_embedding_size": options.attention_dim,
        }
        super().__init__(spec, options, networks.AutoInt, further, **kwargs)
