"""A linear item-to-item model in closed form, a retrieval model."""

import numpy as np
import scipy.linalg
import scipy.sparse
import tensorflow as tf
from sklearn.utils.extmath import randomized_svd

from features import RESERVED, FeatureSpec
from models import scorers
from models.base import ReadColumns, State, TwoTowerModel
from models.ease.options import ENTRY, EASEOptions
from models.inputs import Inputs
from prerank.errors import InputError

_DAY = 86_400
_LEAST = 0.1
"""What an item without a positive counts, so that its log exists. In positives."""
_ITERATIONS = 7
_COLUMNS_AT_ONCE = 1024


@ENTRY
class EASE(TwoTowerModel):
    """Which items the user's history points to, times how popular they are now.

        s(u, v) = w Σ_{i in history} B[i, v] + log popularity(v)

    After EASE (Steck, WWW 2019, equation 8): with X (users, items) of 0 and 1, the users' positives, and
    `P = (XᵀX + λI)⁻¹`, the weights are `B = I - P / diag(P)`, without a diagonal. Our variant: B is cut to its best
    rank D, so that the sum is an inner product of a vector of the user and one of the item. The log of popularity is
    added, `log(Σ 2^(-age / half life) + share · positives + 0.1)` over the positives of the training part. The
    published model has neither. If the rows have weights, each positive counts its weight for popularity; X stays of 0
    and 1.

    A popularity that ages follows the drift of a catalogue, which a mean over all of the training time does not. Items
    of the reserved rows have neither weights nor positives. `dropout` plays no role.
    """

    options: EASEOptions
    user_state = ("user_vector",)
    item_state = ("item_vector",)
    trains_bias = False

    def __init__(self, spec: FeatureSpec, options: EASEOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        if spec.liked is None:
            raise InputError(f"--model_name ease: data set {spec.dataset!r} has no history of positives")
        shape = (spec[spec.item_id].vocabulary_size, options.embedding_dim)
        self._history = spec.liked
        self.of_history = self.add_weight(name="of_history", shape=shape, initializer="zeros")
        self.of_item = self.add_weight(name="of_item", shape=shape, initializer="zeros")
        self.popularity = self.add_weight(name="popularity", shape=shape[:1], initializer="zeros")

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        history = inputs[self._history]
        known = tf.cast(history >= RESERVED, tf.float32)
        points = tf.linalg.matvec(tf.gather(self.of_history, history), known, transpose_a=True)
        return {"user_vector": tf.concat([self.options.history_weight * points, tf.ones_like(points[:, :1])], axis=1)}

    def encode_item(self, inputs: Inputs, training: bool | None = None) -> State:
        item = inputs[self.spec.item_id]
        popularity = tf.gather(self.popularity, item)[:, tf.newaxis]
        return {"item_vector": tf.concat([tf.gather(self.of_item, item), popularity], axis=1)}

    def similarity(self, user: State, item: State) -> tf.Tensor:
        return tf.reduce_sum(user["user_vector"] * item["item_vector"], axis=1)

    def scorer_spec(self) -> scorers.ScorerSpec:
        return scorers.dot(1.0)

    def fit_directly(self, read: ReadColumns) -> bool:
        spec, time = self.spec, self.spec.beside("timestamp")
        weight = [spec.beside("weight")] if "weight" in spec.row_columns else []
        columns = read([spec.user_id, spec.item_id, spec.label, time, *weight])
        positive = (columns[spec.label] == 1) & (columns[spec.item_id] >= RESERVED)
        user, item = columns[spec.user_id][positive], columns[spec.item_id][positive]
        weights = columns[weight[0]][positive].astype(np.float64) if weight else np.ones(len(item))
        self.popularity.assign(self._log_popularity(item, columns[time][positive], weights))
        known = user >= RESERVED  # the others share an index, but not their taste
        of_history, of_item = self._factors(user[known], item[known])
        self.of_history.assign(of_history)
        self.of_item.assign(of_item)
        return True

    def _log_popularity(self, item: np.ndarray, time: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The log of each item's popularity, by index. Shape (vocabulary size,), float64."""
        size, half_life = self.popularity.shape[0], self.options.half_life
        count = np.bincount(item, weights, minlength=size)
        age = (time.max(initial=0) - time) / _DAY
        recent = np.bincount(item, weights * 2.0 ** -(age / half_life), minlength=size) if half_life else count
        return np.log(recent + self.options.steady_share * count + _LEAST)

    def _factors(self, user: np.ndarray, item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vectors (vocabulary size, D) of items in a history and of candidates, whose products come closest to B."""
        of_history, of_item = np.zeros(self.of_history.shape), np.zeros(self.of_item.shape)
        items, counts = np.unique(item, return_counts=True)
        kept = np.sort(items[np.argsort(-counts, kind="stable")[: self.options.most_items]])
        rank = min(self.options.embedding_dim, len(kept) - 1)
        if rank < 1:  # of one item there is nothing to learn
            return of_history, of_item
        mine = np.isin(item, kept)
        weights = _item_to_item(user[mine], np.searchsorted(kept, item[mine]), len(kept), self.options.item_l2)
        left, scales, right = randomized_svd(weights, rank, n_iter=_ITERATIONS, random_state=self.seed)
        of_history[kept, :rank], of_item[kept, :rank] = left * np.sqrt(scales), right.T * np.sqrt(scales)
        return of_history, of_item


def _item_to_item(user: np.ndarray, item: np.ndarray, items: int, l2: float) -> np.ndarray:
    """B of the class's docstring, (items, items) float64, from the user and the item of each positive.

    One such matrix is in memory, and what is computed of it is computed in place.
    """
    liked = scipy.sparse.csr_matrix((np.ones(len(user)), (user, item)), shape=(user.max() + 1, items))
    liked.data[:] = 1  # an item that a user has twice counts once
    liked_by = liked.T.tocsr()
    gram = np.empty((items, items), order="F")
    for start in range(0, items, _COLUMNS_AT_ONCE):  # the whole product as a sparse matrix may be larger than gram
        part = slice(start, start + _COLUMNS_AT_ONCE)
        gram[:, part] = (liked_by @ liked[:, part]).toarray()
    gram[np.diag_indices(items)] += l2
    inverse = scipy.linalg.inv(gram, overwrite_a=True, check_finite=False)
    inverse /= -np.diag(inverse)
    np.fill_diagonal(inverse, 0)
    return inverse
