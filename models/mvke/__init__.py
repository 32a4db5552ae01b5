"""MVKE, the mixture of virtual-kernel experts."""

from models.lazy import lazily
from models.mvke.options import MVKEOptions as MVKEOptions

__getattr__ = lazily("models.mvke.model", "MVKE")
