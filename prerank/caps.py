"""At most so many items of one category, or of one advertiser, in a list."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from prerank.attributes import Attribute
from prerank.errors import RequestError
from prerank.filters import attribute_of
from prerank.values import short

_FIRST = 4


class Caps:
    """Takes items from the best on, and passes over one whose category is full. What has no category is not counted.

    Args:
        attributes: of the index, by name.
        wanted: by the name of an attribute, how many items may have the same value of it, at least 1.

    Raises:
        RequestError: there is no such attribute, or a number is no positive integer.
    """

    def __init__(self, attributes: Mapping[str, Attribute], wanted: Any):
        if not isinstance(wanted, Mapping):
            raise RequestError(f"at_most: expected numbers by attribute. Received: {short(wanted)}", field="at_most")
        self._caps = []
        for name, most in wanted.items():
            field = f"at_most.{name}"
            attribute = attribute_of(attributes, name, field)
            if isinstance(most, bool) or not isinstance(most, int | np.integer) or most < 1:
                raise RequestError(f"{field}: expected a positive integer. Received: {short(most)}", field=field)
            self._caps.append((attribute, int(most)))

    def choose(
        self,
        best: Callable[[int], np.ndarray],
        positions: np.ndarray | None,
        n: int,
        before: np.ndarray | None = None,
    ) -> np.ndarray:
        """Up to `n` of the best, best first.

        Args:
            best: the places of the so many best, best first; fewer if there are fewer.
            positions: the items' positions in the index by place, or None where both are the same.
            n: how many.
            before: positions of items that the list has already, and that count.
        """
        if not self._caps:
            return best(n)
        looked = _FIRST * n
        while True:
            places = best(looked)
            found = self._take(places.tolist(), places if positions is None else positions[places], n, before)
            if len(found) == n or len(places) < looked:
                return np.array(found, np.int64)
            looked *= _FIRST

    def _take(self, places: list[int], items: np.ndarray, n: int, before: np.ndarray | None) -> list[int]:
        counts = [self._counts(attribute, before) for attribute, _ in self._caps]
        most = [most for _, most in self._caps]
        found: list[int] = []
        of_items = zip(*(attribute.codes_of(items) for attribute, _ in self._caps), strict=True)
        for place, codes in zip(places, of_items, strict=True):
            own = list(zip(counts, most, codes, strict=True))
            if any(count[code] >= limit for count, limit, found_codes in own for code in found_codes):
                continue
            for count, _, found_codes in own:
                count.update(found_codes)
            found.append(place)
            if len(found) == n:
                break
        return found

    @staticmethod
    def _counts(attribute: Attribute, items: np.ndarray | None) -> Counter[int]:
        if items is None:
            return Counter()
        return Counter(code for codes in attribute.codes_of(items) for code in codes)
