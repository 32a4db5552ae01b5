"""Boosted trees on the tabular features."""

from models.gbdt.options import GBDTOptions as GBDTOptions
from models.lazy import lazily

__getattr__ = lazily("models.gbdt.model", "GBDT")
