"""HIT, the hierarchical interaction-enhanced two-tower model."""

from models.hit.options import HITOptions as HITOptions
from models.lazy import lazily

__getattr__ = lazily("models.hit.model", "HIT")
