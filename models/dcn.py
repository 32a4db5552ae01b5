"""DCN, a ranking model, and what its second version has in common with it."""

from deepctr import models as deepctr_models
from pydantic import Field, PositiveInt

from features import FeatureSpec
from models.deepctr_model import DeepCTRModel, RankingOptions
from models.registry import register


class DCNOptions(RankingOptions):
    """Options of DCN and DCN V2."""

    cross_layers: PositiveInt = Field(2, description="layers of the cross network")


@register("dcn", options=DCNOptions, kind="ranking model of DeepCTR", source="Wang et al., ADKDD 2017")
class DCN(DeepCTRModel):
    """A cross network, a vector of weights a layer, beside a deep one. Wang et al., ADKDD 2017; deepctr's `DCN`."""

    def __init__(self, spec: FeatureSpec, options: DCNOptions, **kwargs):
        further = {"cross_num": options.cross_layers, "cross_parameterization": "vector", "l2_reg_cross": 0}
        super().__init__(spec, options, deepctr_models.DCN, further, **kwargs)
