"""IntTower, the interaction-enhanced two-tower model."""

from models.int_tower.options import IntTowerOptions as IntTowerOptions
from models.lazy import lazily

__getattr__ = lazily("models.int_tower.model", "IntTower")
