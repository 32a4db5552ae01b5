"""Old name of `prerank.encoding`, for one release."""

from prerank.encoding import Indexer

__all__ = ["Indexer"]
