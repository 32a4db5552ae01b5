"""RankTower, in a decoupled variant of this project."""

from models.lazy import lazily
from models.rank_tower.options import RankTowerOptions as RankTowerOptions

__getattr__ = lazily("models.rank_tower.model", "RankTower")
