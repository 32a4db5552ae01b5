"""MIND, the multi-interest network with dynamic routing, a retrieval model."""

from models.lazy import lazily
from models.mind.options import MINDOptions as MINDOptions

__getattr__ = lazily("models.mind.model", "MIND")
