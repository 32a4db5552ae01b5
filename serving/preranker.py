"""Old name of `prerank.preranker`, for one release."""

from prerank.preranker import PreRanker
from prerank.scored import Scored

__all__ = ["PreRanker", "Scored"]
