"""Old name of `export.writer`, for one release."""

from export.writer import export, target

__all__ = ["export", "target"]
