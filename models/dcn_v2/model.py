"""DCN V2, a ranking model."""

from features import FeatureSpec
from models.dcn.options import DCNOptions
from models.dcn_v2.options import ENTRY
from models.deepctr import networks
from models.deepctr_model import DeepCTRModel


@ENTRY
class DCNV2(DeepCTRModel):
    """A cross network, a matrix of weights a layer, beside a deep one.

    Wang et al., WWW 2021; deepctr's `DCN` with `cross_parameterization="matrix"`.
    """

    def __init__(self, spec: FeatureSpec, options: DCNOptions, **kwargs):
        further = {"cross_num": options.cross_layers, "cross_parameterization": "matrix", "l2_reg_cross": 0}
        super().__init__(spec, options, networks.DCN, further, **kwargs)
