"""DCN V2, a ranking model."""

from deepctr import models as deepctr_models

from features import FeatureSpec
from models.dcn import DCNOptions
from models.deepctr_model import DeepCTRModel
from models.registry import register


@register("dcn_v2", options=DCNOptions, kind="ranking model of DeepCTR", source="Wang et al., WWW 2021")
class DCNV2(DeepCTRModel):
    """A cross network, a matrix of weights a layer, beside a deep one.

    Wang et al., WWW 2021; deepctr's `DCN` with `cross_parameterization="matrix"`.
    """

    def __init__(self, spec: FeatureSpec, options: DCNOptions, **kwargs):
        further = {"cross_num": options.cross_layers, "cross_parameterization": "matrix", "l2_reg_cross": 0}
        super().__init__(spec, options, deepctr_models.DCN, further, **kwargs)
