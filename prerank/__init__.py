"""The installable runtime: scores items for users with an exported model and its item index."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prerank.preranker import PreRanker
    from prerank.scored import Scored

__all__ = ["PreRanker", "Scored", "__version__"]
__version__ = "0.1.0"

_LAZY = ("PreRanker", "Scored")


def __getattr__(name: str) -> Any:
    """Load the public names when they are first used, so that the smaller modules stay light."""
    if name in _LAZY:
        from prerank import preranker

        return getattr(preranker, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
