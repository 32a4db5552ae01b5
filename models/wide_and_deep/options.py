"""Options of WideAndDeep, and what is known of it without TensorFlow."""

from models.options import RankingOptions
from models.registry import register

ENTRY = register(
    "wide_and_deep",
    options=RankingOptions,
    kind="ranking model of DeepCTR",
    source="Cheng et al., DLRS 2016",
    link="https://arxiv.org/abs/1606.07792",
    decoupled=False,
)
