"""DAT, the dual augmented two-tower model."""

from models.dat.options import DATOptions as DATOptions
from models.lazy import lazily

__getattr__ = lazily("models.dat.model", "DAT")
