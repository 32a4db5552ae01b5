"""Pre-ranking models, each in a folder of its own, made of `layers` and found in one registry.

Names, options and limits of all models are known without TensorFlow, which the models themselves need.
"""

from typing import TYPE_CHECKING

import legacy_keras
from models.lazy import lazily
from models.options import ModelOptions, TowerOptions
from models.registry import ModelEntry, build, get, names

if TYPE_CHECKING:
    from models.base import PreRankingModel, TwoTowerModel

__all__ = ["ModelEntry", "ModelOptions", "PreRankingModel", "TowerOptions", "TwoTowerModel", "build", "get", "names"]

legacy_keras.require()
__getattr__ = lazily("models.base", "PreRankingModel", "TwoTowerModel")
