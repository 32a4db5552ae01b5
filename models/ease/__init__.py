"""A linear item-to-item model in closed form, a retrieval model."""

from models.lazy import lazily

__getattr__ = lazily("models.ease.model", "EASE")
