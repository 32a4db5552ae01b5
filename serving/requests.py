"""Old name of `prerank.requests`, for one release."""

from prerank.requests import UserInputs, item_ids

__all__ = ["UserInputs", "item_ids"]
