"""DCN V2, a ranking model."""

from models.lazy import lazily

__getattr__ = lazily("models.dcn_v2.model", "DCNV2")
