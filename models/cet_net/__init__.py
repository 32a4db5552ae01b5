"""CETNet, an ensemble of two ranking models."""

from models.cet_net.options import CETNetOptions as CETNetOptions
from models.lazy import lazily

__getattr__ = lazily("models.cet_net.model", "CETNet")
