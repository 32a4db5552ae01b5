"""MLCC, a ranking model."""

from models.lazy import lazily
from models.mlcc.options import MLCCOptions as MLCCOptions

__getattr__ = lazily("models.mlcc.model", "MLCC")
