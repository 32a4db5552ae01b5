"""An exported model with its sides exchanged: users are kept in an index, and an item asks for the best of them."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

from prerank.artefact import Artefact
from prerank.backend import Signature
from prerank.errors import ArtefactError
from prerank.kernels import array_layout

_SYMMETRIC = ("additive", "cosine", "dot")
"""Scorers that do not change if the sides are exchanged."""
_OTHER = {"user": "item", "item": "user"}


class ReversedArtefact(Artefact):
    """The model of a folder, whose users are what an index calls items, and the reverse.

    Its fingerprint is another one, so that an index of users is not taken for one of items.

    Args:
        folder: as for :class:`Artefact`.

    Raises:
        ArtefactError: as :class:`Artefact`, or the sides of the model's scorer cannot be exchanged.
    """

    asks = "item"

    def __init__(self, folder: Path):
        super().__init__(folder)
        if not self.decoupled:
            raise ArtefactError(f"{self.name} has no towers, its users cannot be cached", path=folder)
        if self.features["scorer"] not in _SYMMETRIC:
            raise ArtefactError(
                f"{self.name} cannot rank users: expected a scorer out of {', '.join(_SYMMETRIC)}. "
                f"Received: {self.features['scorer']}",
                path=folder,
            )
        self.fingerprint = hashlib.sha256(f"users of {self.fingerprint}".encode()).hexdigest()
        self.arrays = array_layout(self.kernel, self.features["outputs"]["user_tower"])

    def inputs(self, side: str | None = None) -> list[dict[str, Any]]:
        """The described inputs of the other side, or of both."""
        return super().inputs(None if side is None else _OTHER[side])

    @cached_property
    def item_id(self) -> str:
        """Name of the user's id."""
        return self.features["specification"]["user_id"]

    @cached_property
    def user_tower(self) -> Signature:
        """Item features, in the order of `inputs("user")`, to the item state by name."""
        return self.signature("item_tower", [field["name"] for field in self.inputs("user")])

    @cached_property
    def item_tower(self) -> Signature:
        """User features, in the order of `inputs("item")`, to the user state by name."""
        return self.signature("user_tower", [field["name"] for field in self.inputs("item")])
