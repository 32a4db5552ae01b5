"""COLD, a light single tower."""

from models.cold.options import COLDOptions as COLDOptions
from models.lazy import lazily

__getattr__ = lazily("models.cold.model", "COLD")
