"""The planted truth of generated requests, beside which lists can be judged without bias."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from experiments.cascade.metrics import CUTOFFS, Truth
from preprocess.generate.truth import FILE
from preprocess.generate.truth import Truth as Generated
from prerank.errors import InputError
from training.requests import Requests

ROWS, _USER, _ITEM = "rows.parquet", "user", "item"
"""The file of the rows, and its columns of raw ids, as :mod:`preprocess.generate.requests` writes them."""
_AT_ONCE = 64

Probabilities = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Of raw ids of users (U,) and items (I,) the true probabilities (U, I) float64 of a positive, if shown first."""


class Planted:
    """True probabilities of requests and the catalogue.

    Args:
        probabilities: gives them for raw ids.
        users: raw id of each request's user. Shape (R,).
        items: raw id of each item. Shape (N,).
        left_out: of each request the places of items that no list may hold. Length R.
    """

    def __init__(self, probabilities: Probabilities, users: np.ndarray, items: np.ndarray, left_out: list[np.ndarray]):
        self._probabilities, self._users, self._items = probabilities, users, items
        self.best = {k: np.zeros(len(users)) for k in CUTOFFS}
        for request, row in enumerate(self._rows()):
            allowed = np.delete(row, left_out[request])
            for k in CUTOFFS:
                self.best[k][request] = np.sort(allowed)[::-1][:k].sum()

    @classmethod
    def read(cls, folder: Path, requests: Requests, negatives: int = 0) -> "Planted | None":
        """The truth of generated data; None if the folder of the raw data holds none for requests.

        Args:
            folder: the raw data.
            requests: the requests and the catalogue.
            negatives: how many were sampled for each positive when the data were prepared.

        Raises:
            InputError: it is damaged, or the data have sampled negatives, whose numbers are not those of raw rows.
        """
        if not (folder / FILE).is_file() or not (folder / ROWS).is_file():
            return None  # of the generated layouts only that of requests can be asked for the truth of any pair
        if negatives:
            raise InputError(
                f"the truth is of the raw rows: --negatives 0 expected. Received: {negatives}", path=folder
            )
        path = folder / ROWS
        try:
            table = pq.read_table(path, columns=[_USER, _ITEM])
            users, items = (table[name].to_numpy() for name in (_USER, _ITEM))
            of_users, of_items = users[requests.user_lines], items[requests.item_lines]
        except (OSError, pa.ArrowException, KeyError, IndexError) as error:
            raise InputError(f"not the rows that {FILE} is of: {error}", path=path) from error
        return cls(Generated.load(folder).probabilities, of_users, of_items, requests.left_out)

    def _rows(self):
        """The probabilities (N,) of each request."""
        for start in range(0, len(self._users), _AT_ONCE):
            yield from self._probabilities(self._users[start : start + _AT_ONCE], self._items)

    def of(self, pools: Sequence[np.ndarray]) -> Truth:
        """The truth of pools, the places of each request's items."""
        return Truth([row[pool] for row, pool in zip(self._rows(), pools, strict=True)], self.best)
