"""The floor: logistic regression on two means."""

from models.lazy import lazily

__getattr__ = lazily("models.target_means.model", "TargetMeans")
