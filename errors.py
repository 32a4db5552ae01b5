"""Old name of `prerank.errors`, for one release."""

from prerank.errors import ArtefactError, InputError, RequestError, UnknownItemsError

__all__ = ["ArtefactError", "InputError", "RequestError", "UnknownItemsError"]
