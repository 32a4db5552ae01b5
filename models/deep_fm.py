"""DeepFM, a ranking model."""

from deepctr import models as deepctr_models

from features import FeatureSpec
from models.deepctr_model import DeepCTRModel, RankingOptions
from models.registry import register


@register("deep_fm", options=RankingOptions, kind="ranking model of DeepCTR", source="Guo et al., IJCAI 2017")
class DeepFM(DeepCTRModel):
    """A factorization machine beside a deep network. Guo et al., IJCAI 2017; deepctr's `DeepFM`."""

    def __init__(self, spec: FeatureSpec, options: RankingOptions, **kwargs):
        super().__init__(spec, options, deepctr_models.DeepFM, {}, **kwargs)
