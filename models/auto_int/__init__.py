"""AutoInt, a ranking model."""

from models.auto_int.options import AutoIntOptions as AutoIntOptions
from models.lazy import lazily

__getattr__ = lazily("models.auto_int.model", "AutoInt")
