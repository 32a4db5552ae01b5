"""Wide & Deep, a ranking model."""

from models.lazy import lazily

__getattr__ = lazily("models.wide_and_deep.model", "WideAndDeep")
