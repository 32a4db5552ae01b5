"""Scores of requests and items by a model, as a server would compute them: the states of a side once."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from models import PreRankingModel, TwoTowerModel
from prerank.order import best_first
from training.requests import Requests

NOT_AN_ITEM = -1
_ITEMS_A_CALL = 65_536
_ROWS_A_CALL = 16_384


class Scorer:
    """The logits by which a model ranks the items of a catalogue for each request.

    Args:
        model: the model. Of a decoupled one the states of users and items are computed once.
        requests: the requests and the catalogue.
    """

    def __init__(self, model: PreRankingModel, requests: Requests):
        self._items = requests.item_count
        self._decoupled = isinstance(model, TwoTowerModel)
        if isinstance(model, TwoTowerModel):
            users = _states(model.user_tower, requests.users, requests.count)
            items = _states(model.item_tower, requests.items, requests.item_count)
        else:
            users, items = ({n: tf.constant(v) for n, v in side.items()} for side in (requests.users, requests.items))

        def one_user(request: tf.Tensor, of_items: Mapping[str, tf.Tensor]) -> tf.Tensor:
            return model.score({name: value[request : request + 1] for name, value in users.items()}, of_items)

        def some(request: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
            return one_user(request, {name: tf.gather(value, places) for name, value in items.items()})

        def span(request: tf.Tensor, start: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
            return one_user(request, {name: value[start:stop] for name, value in items.items()})

        def pairs(requests: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
            user = {name: tf.gather(value, requests) for name, value in users.items()}
            return model({**user, **{n: tf.gather(v, places) for n, v in items.items()}}, training=False)

        number, numbers = tf.TensorSpec((), tf.int32), tf.TensorSpec((None,), tf.int32)
        self._some = tf.function(some, input_signature=(number, numbers))
        self._span = tf.function(span, input_signature=(number, number, number))
        self._pairs = tf.function(pairs, input_signature=(numbers, numbers))

    def all_items(self, request: int) -> np.ndarray:
        """The logits (N,) float32 of the whole catalogue for one request, by its place."""
        if not self._decoupled:
            return self.of([request], [np.arange(self._items)])[0]
        starts = range(0, self._items, _ITEMS_A_CALL)
        spans = [(start, min(start + _ITEMS_A_CALL, self._items)) for start in starts]
        return np.concatenate([self._span(*map(np.int32, (request, *span))).numpy() for span in spans])

    def of(self, requests: Sequence[int], places: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The logits of some items for each of some requests.

        Args:
            requests: places of the requests. Length R.
            places: of each request the places of the items in the catalogue. Length R.

        Returns:
            Of each request the logits of its items, float32. Length R.
        """
        if self._decoupled:
            pairs = zip(requests, places, strict=True)
            return [self._some(np.int32(request), found.astype(np.int32)).numpy() for request, found in pairs]
        longest = max((len(found) for found in places), default=1)
        at_once = max(_ROWS_A_CALL // max(longest, 1), 1)
        found: list[np.ndarray] = []
        for start in range(0, len(places), at_once):
            found += self._of_pairs(requests[start : start + at_once], places[start : start + at_once])
        return found

    def _of_pairs(self, requests: Sequence[int], places: Sequence[np.ndarray]) -> list[np.ndarray]:
        lengths = [len(found) for found in places]
        if not any(lengths):
            return [np.zeros(0, np.float32) for _ in lengths]
        users, items = np.repeat(requests, lengths).astype(np.int32), np.concatenate(places).astype(np.int32)
        chunks = [slice(start, start + _ROWS_A_CALL) for start in range(0, len(items), _ROWS_A_CALL)]
        logits = [self._pairs(users[chunk], items[chunk]).numpy() for chunk in chunks]
        return np.split(np.concatenate(logits), np.cumsum(lengths)[:-1])


def _states(tower, inputs, rows: int) -> dict[str, tf.Tensor]:
    """The states of all rows of one side, by name."""
    found = [
        tower({name: tf.constant(values[start : start + _ITEMS_A_CALL]) for name, values in inputs.items()})
        for start in range(0, rows, _ITEMS_A_CALL)
    ]
    return {name: tf.concat([part[name] for part in found], axis=0) for name in found[0]}


def top_items(model: PreRankingModel, requests: Requests, count: int) -> np.ndarray:
    """The best items of each request, best first; of equal ones the first in the catalogue.

    Args:
        model: what scores them.
        requests: the requests and the catalogue.
        count: how many.

    Returns:
        Places in the catalogue, :data:`NOT_AN_ITEM` where a request has no more items. Shape (R, count), int64.
    """
    scorer = Scorer(model, requests)
    best = np.full((requests.count, count), NOT_AN_ITEM, np.int64)
    for request, left_out in enumerate(requests.left_out):
        order = best_first(scorer.all_items(request), count, left_out)
        best[request, : len(order)] = order
    return best
