"""Options of DeepFM, and what is known of it without TensorFlow."""

from models.options import RankingOptions
from models.registry import register

ENTRY = register(
    "deep_fm",
    options=RankingOptions,
    kind="ranking model of DeepCTR",
    source="Guo et al., IJCAI 2017",
    link="https://arxiv.org/abs/1703.04247",
    decoupled=False,
)
