"""Places of a list that are kept for some of the items: new ones, or those of another channel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from prerank.caps import Caps
from prerank.errors import RequestError
from prerank.order import best_first
from prerank.requests import item_ids
from prerank.snapshot import Snapshot
from prerank.values import short

_KEYS = {"places", "filter", "candidates"}


@dataclass(frozen=True)
class Choice:
    """What a list is chosen from.

    Attributes:
        positions: (N,) ascending positions in the index, of as many scores; None for all of the index.
        left_out: ascending places, among the scores, of what must not be chosen; or None.
        caps: how many items may share a value of an attribute; or None.
    """

    positions: np.ndarray | None = None
    left_out: np.ndarray | None = None
    caps: Caps | None = None

    def items(self, places: np.ndarray) -> np.ndarray:
        """The positions in the index of some places."""
        return places if self.positions is None else self.positions[places]

    def best(self, scores: np.ndarray, n: int, before: np.ndarray | None = None) -> np.ndarray:
        """Places of the best `n` scores, best first, within the caps.

        Args:
            scores: of everything that is chosen from.
            n: how many.
            before: positions in the index of what the list has already, which the caps count.
        """
        if self.caps is None:
            return best_first(scores, n, self.left_out)
        return self.caps.choose(lambda count: best_first(scores, count, self.left_out), self.positions, n, before)

    def without(self, taken: np.ndarray) -> "Choice":
        """The same without some places."""
        left_out = np.sort(taken) if self.left_out is None else np.union1d(self.left_out, taken)
        return replace(self, left_out=left_out)


class Reserve:
    """Chooses lists in which some items have places of their own.

    Each reservation in turn gets the best of its items, until the list holds so many of them; an item counts for every
    reservation that it meets. The other places go to the best of the rest. The whole list is then best first. So items
    that are good enough by themselves take no place from others. Caps hold for all of them, in the order of choice.

    Args:
        wanted: objects with `places`, at least 1, and a `filter` or `candidates`, or both.
        snapshot: the index, whose attributes filters name.
        choice: what the list is chosen from.
        n: length of the list.
        kind: raw type of the item id.

    Raises:
        RequestError: an object is wrong, or they reserve more places than `n`.
    """

    def __init__(self, wanted: Any, snapshot: Snapshot, choice: Choice, n: int, kind: str):
        if isinstance(wanted, str | bytes | Mapping) or not isinstance(wanted, Sequence):
            raise RequestError(f"reserve: expected a list of objects. Received: {short(wanted)}", field="reserve")
        self._choice, self._n = choice, n
        self._reserved = [
            (_members(one, f"reserve.{place}", snapshot, choice, kind), _places(one, f"reserve.{place}"))
            for place, one in enumerate(wanted)
        ]
        if (total := sum(count for _, count in self._reserved)) > n:
            raise RequestError(f"reserve: {total} places of a list of {n}", field="reserve")

    def choose(self, scores: np.ndarray) -> np.ndarray:
        """Places of the list's items, best first, by scores of everything that is chosen from."""
        taken = np.empty(0, np.int64)
        for members, count in self._reserved:
            lacking = count - int(np.isin(taken, members).sum())
            if lacking > 0:
                free = np.setdiff1d(members, taken, assume_unique=True)
                among = Choice(self._choice.items(free), caps=self._choice.caps)
                picked = among.best(scores[free], lacking, before=self._choice.items(taken))
                taken = np.concatenate([taken, free[picked]])
        if len(taken) < self._n:
            rest = self._choice.without(taken)
            found = rest.best(scores, self._n - len(taken), before=self._choice.items(taken))
            taken = np.concatenate([taken, found])
        return taken[np.lexsort((taken, -scores[taken]))]


def _places(one: Mapping[str, Any], field: str) -> int:
    places = one.get("places")
    if isinstance(places, bool) or not isinstance(places, int | np.integer) or places < 1:
        field = f"{field}.places"
        raise RequestError(f"{field}: expected a positive integer. Received: {short(places)}", field=field)
    return int(places)


def _members(one: Any, field: str, snapshot: Snapshot, choice: Choice, kind: str) -> np.ndarray:
    """The ascending places, among the scores, of the items that a reservation is for."""
    if not isinstance(one, Mapping) or not {"filter", "candidates"} & set(one):
        message = f"{field}: expected an object with places, and a filter or candidates. Received: {short(one)}"
        raise RequestError(message, field=field)
    if unknown := sorted(set(map(str, one)) - _KEYS):
        raise RequestError(f"{field}.{unknown[0]}: there is no such key", field=f"{field}.{unknown[0]}")
    positions = choice.positions
    if "candidates" in one:
        found = snapshot.positions(item_ids(one["candidates"], kind, f"{field}.candidates"))
        found = np.unique(found[found >= 0])
        positions = found if positions is None else np.intersect1d(positions, found, assume_unique=True)
    if "filter" in one:
        try:
            met = snapshot.meeting(one["filter"], positions)
        except RequestError as error:
            raise RequestError(f"{field}.{error}", field=f"{field}.{error.field}") from error
        positions = positions if met is None else met
    if positions is None:
        positions = np.arange(len(snapshot.states.ids))
    places = positions if choice.positions is None else np.searchsorted(choice.positions, positions)
    return places if choice.left_out is None else np.setdiff1d(places, choice.left_out, assume_unique=True)
