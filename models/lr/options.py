"""Options of LogisticRegression, and what is known of it without TensorFlow."""

from models.options import ModelOptions
from models.registry import register

ENTRY = register(
    "lr",
    options=ModelOptions,
    kind="linear: a weight for every id and number",
    source="Li et al., CIKM 2022, table 2",
    link="https://arxiv.org/abs/2210.09890",
)
