"""AutoInt, a ranking model."""

from deepctr import models as deepctr_models
from pydantic import Field, PositiveInt

from features import FeatureSpec
from models.deepctr_model import DeepCTRModel, RankingOptions
from models.registry import register


class AutoIntOptions(RankingOptions):
    """Options of AutoInt."""

    attention_layers: PositiveInt = Field(3, description="interacting layers")
    attention_heads: PositiveInt = Field(2, description="heads of an interacting layer")
    attention_dim: PositiveInt = Field(8, description="size of a head")


@register("auto_int", options=AutoIntOptions, kind="ranking model of DeepCTR", source="Song et al., CIKM 2019")
class AutoInt(DeepCTRModel):
    """Self-attention over the fields beside a deep network. Song et al., CIKM 2019; deepctr's `AutoInt`.

    As in deepctr, numbers enter the deep network alone.
    """

    def __init__(self, spec: FeatureSpec, options: AutoIntOptions, **kwargs):
        further = {
            "att_layer_num": options.attention_layers,
            "att_head_num": options.attention_heads,
            "att_embedding_size": options.attention_dim,
        }
        super().__init__(spec, options, deepctr_models.AutoInt, further, **kwargs)
