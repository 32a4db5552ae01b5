"""DCN, a ranking model."""

from features import FeatureSpec
from models.dcn.options import ENTRY, DCNOptions
from models.deepctr import networks
from models.deepctr_model import DeepCTRModel


@ENTRY
class DCN(DeepCTRModel):
    """A cross network, a vector of weights a layer, beside a deep one. Wang et al., ADKDD 2017; deepctr's `DCN`."""

    def __init__(self, spec: FeatureSpec, options: DCNOptions, **kwargs):
        further = {"cross_num": options.cross_layers, "cross_parameterization": "vector", "l2_reg_cross": 0}
        super().__init__(spec, options, networks.DCN, further, **kwargs)
