"""Old name of `prerank.requests`, for one release."""

from prerank.requests import User, UserInputs, item_ids

__all__ = ["User", "UserInputs", "item_ids"]
