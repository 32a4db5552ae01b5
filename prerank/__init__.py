"""The installable runtime: scores items for users with an exported model and its item index."""

from typing import Any

__all__ = ["PreRanker", "Scored"]


def __getattr__(name: str) -> Any:
    """Load the public names when they are first used, so that the smaller modules stay light."""
    if name in __all__:
        from prerank import preranker

        return getattr(preranker, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
