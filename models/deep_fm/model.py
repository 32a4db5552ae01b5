"""DeepFM, a ranking model."""

from features import FeatureSpec
from models.deep_fm.options import ENTRY
from models.deepctr import networks
from models.deepctr_model import DeepCTRModel
from models.options import RankingOptions


@ENTRY
class DeepFM(DeepCTRModel):
    """A factorization machine beside a deep network. Guo et al., IJCAI 2017; deepctr's `DeepFM`."""

    def __init__(self, spec: FeatureSpec, options: RankingOptions, **kwargs):
        super().__init__(spec, options, networks.DeepFM, {}, **kwargs)
