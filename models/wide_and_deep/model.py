"""Wide & Deep, a ranking model."""

from features import FeatureSpec
from models.deepctr import networks
from models.deepctr_model import DeepCTRModel
from models.options import RankingOptions
from models.wide_and_deep.options import ENTRY


@ENTRY
class WideAndDeep(DeepCTRModel):
    """A linear model beside a deep network. Cheng et al., DLRS 2016; deepctr's `WDL`."""

    def __init__(self, spec: FeatureSpec, options: RankingOptions, **kwargs):
        super().__init__(spec, options, networks.WDL, {}, **kwargs)
