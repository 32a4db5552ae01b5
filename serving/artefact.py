"""Old name of `prerank.artefact`, for one release."""

from prerank.artefact import Artefact

__all__ = ["Artefact"]
