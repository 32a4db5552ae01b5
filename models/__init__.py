"""Pre-ranking models, one a file, made of `layers` and found in one registry."""

import legacy_keras

legacy_keras.require()

from models.base import PreRankingModel, TwoTowerModel  # noqa: E402
from models.options import ModelOptions, TowerOptions  # noqa: E402
from models.registry import ModelEntry, build, get, names  # noqa: E402

__all__ = ["ModelEntry", "ModelOptions", "PreRankingModel", "TowerOptions", "TwoTowerModel", "build", "get", "names"]
