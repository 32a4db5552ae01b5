"""Options of DCNV2, and what is known of it without TensorFlow."""

from models.dcn.options import DCNOptions
from models.registry import register

ENTRY = register(
    "dcn_v2",
    options=DCNOptions,
    kind="ranking model of DeepCTR",
    source="Wang et al., WWW 2021",
    link="https://arxiv.org/abs/2008.13535",
    decoupled=False,
)
