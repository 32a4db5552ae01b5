"""FIT, the two-tower model whose user side sees a few meta queries in place of the item."""

from models.fit.options import FITOptions as FITOptions
from models.lazy import lazily

__getattr__ = lazily("models.fit.model", "FIT")
