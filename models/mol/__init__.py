"""MoL, the mixture of logits."""

from models.lazy import lazily
from models.mol.options import MoLOptions as MoLOptions

__getattr__ = lazily("models.mol.model", "MoL")
