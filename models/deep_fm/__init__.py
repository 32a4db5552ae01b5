"""DeepFM, a ranking model."""

from models.lazy import lazily

__getattr__ = lazily("models.deep_fm.model", "DeepFM")
