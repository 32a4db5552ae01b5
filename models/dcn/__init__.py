"""DCN, a ranking model."""

from models.dcn.options import DCNOptions as DCNOptions
from models.lazy import lazily

__getattr__ = lazily("models.dcn.model", "DCN")
