"""Old name of `prerank.preranker`, for one release."""

from prerank.preranker import PreRanker, Scored

__all__ = ["PreRanker", "Scored"]
