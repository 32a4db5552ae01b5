"""Wide & Deep, a ranking model."""

from deepctr import models as deepctr_models

from features import FeatureSpec
from models.deepctr_model import DeepCTRModel, RankingOptions
from models.registry import register


@register("wide_and_deep", options=RankingOptions, kind="ranking model of DeepCTR", source="Cheng et al., DLRS 2016")
class WideAndDeep(DeepCTRModel):
    """A linear model beside a deep network. Cheng et al., DLRS 2016; deepctr's `WDL`."""

    def __init__(self, spec: FeatureSpec, options: RankingOptions, **kwargs):
        super().__init__(spec, options, deepctr_models.WDL, {}, **kwargs)
