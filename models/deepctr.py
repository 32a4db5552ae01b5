"""What this package takes of deepctr, mended. Nothing else here imports deepctr itself."""

import legacy_keras

legacy_keras.mend_deepctr()

from deepctr import models as networks  # noqa: E402  (mended first)
from deepctr.feature_column import DenseFeat, SparseFeat, VarLenSparseFeat  # noqa: E402
from deepctr.layers.core import DNN  # noqa: E402
from deepctr.layers.interaction import CrossNet, InteractingLayer  # noqa: E402
from deepctr.layers.utils import Linear  # noqa: E402

__all__ = ["DNN", "CrossNet", "DenseFeat", "InteractingLayer", "Linear", "SparseFeat", "VarLenSparseFeat", "networks"]
