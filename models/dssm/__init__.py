"""DSSM, the vanilla two-tower model."""

from models.dssm.options import DSSMOptions as DSSMOptions
from models.lazy import lazily

__getattr__ = lazily("models.dssm.model", "DSSM")
