"""Options of TargetMeans, and what is known of it without TensorFlow."""

from models.options import ModelOptions
from models.registry import register

ENTRY = register(
    "target_means",
    options=ModelOptions,
    kind="floor: logistic regression on the mean labels of user and item",
    source="–",
)
