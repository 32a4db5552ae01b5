"""Logistic regression on every field."""

from models.lazy import lazily

__getattr__ = lazily("models.lr.model", "LogisticRegression")
