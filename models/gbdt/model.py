"""Boosted trees on the tabular features."""

from collections.abc import Mapping
from pathlib import Path

import joblib
import numpy as np
import tensorflow as tf
from sklearn.ensemble import HistGradientBoostingClassifier

from features import MISSING, FeatureSpec
from features import Field as Feature
from models.base import PreRankingModel, ReadColumns
from models.gbdt.options import ENTRY, GBDTOptions
from models.inputs import Inputs

_MOST_CATEGORIES = 255
_MOST_ROWS = 4_000_000
_FILE = "best.joblib"


@ENTRY
class GBDT(PreRankingModel):
    """Gradient-boosted trees on ids, numbers, sets and the lengths of sequences.

    The public HIT repository trains one per data set. An id of at most 255 values is a category, one of more values a
    number, its index. Of several ids a row the trees see which there are, a column each, if there are at most 255
    values, and else how many; genres as a mere count leave them below `target_means` on the generated sample. Of more
    than 4,000,000 training rows they are grown on a random sample of about as many, as all have to be in memory.
    Neither `embedding_dim` nor `dropout` plays a role, and the seed only decides which rows the bins come from where
    there are more than 200,000.

    The trees are kept as joblib writes them: joblib comes with scikit-learn. Reading such a file runs code that it
    names, so read only your own.
    """

    options: GBDTOptions
    trains_bias = False

    def __init__(self, spec: FeatureSpec, options: GBDTOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        self._trees: HistGradientBoostingClassifier | None = None

    def fit_directly(self, read: ReadColumns) -> bool:
        columns = read([*(field.name for field in self.spec.fields), self.spec.label], _MOST_ROWS)
        options = self.options
        trees = HistGradientBoostingClassifier(
            learning_rate=options.tree_lr,
            max_iter=options.trees,
            max_leaf_nodes=options.leaves,
            min_samples_leaf=options.leaf_rows,
            categorical_features=[
                field.kind == "sparse" and _is_small(field) for field in self.spec.fields for _ in range(_width(field))
            ],
            early_stopping=False,
            random_state=self.seed,
        )
        self._trees = trees.fit(self._table(columns), columns[self.spec.label])
        return True

    def call(self, inputs: Inputs, training: bool | None = None) -> tf.Tensor:
        """Logits (B,) float32, from Python and not from the graph; all equal before :meth:`fit_directly`."""
        fields = [field.name for field in self.spec.fields]
        logits = tf.numpy_function(self._logits, [inputs[name] for name in fields], tf.float32)
        logits = tf.ensure_shape(logits, [None])
        return logits + self.bias

    def _logits(self, *columns: np.ndarray) -> np.ndarray:
        if self._trees is None:
            return np.zeros(len(columns[0]), np.float32)
        named = dict(zip([field.name for field in self.spec.fields], columns, strict=True))
        return self._trees.decision_function(self._table(named)).astype(np.float32)

    def _table(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n, F) numbers, as many columns a field as :func:`_width` says."""
        return np.column_stack([_columns(field, columns[field.name]) for field in self.spec.fields]).astype(np.float32)

    def parameters(self) -> int:
        """A number each for the leaves and the splits of all trees."""
        if self._trees is None:
            return 0
        return sum(len(tree.nodes) for trees in self._trees._predictors for tree in trees)

    def save_trained(self, folder: Path) -> None:
        joblib.dump(self._trees, folder / _FILE)

    def load_trained(self, folder: Path) -> None:
        self._trees = joblib.load(folder / _FILE)


def _is_small(field: Feature) -> bool:
    return field.vocabulary_size <= _MOST_CATEGORIES


def _width(field: Feature) -> int:
    return field.vocabulary_size - 1 if field.kind == "sequence" and _is_small(field) else 1


def _columns(field: Feature, values: np.ndarray) -> np.ndarray:
    """(n, width) numbers of one field."""
    if field.kind != "sequence":
        return values[:, np.newaxis]
    if not _is_small(field):
        return (values != MISSING).sum(axis=1, keepdims=True)
    present = np.zeros((len(values), field.vocabulary_size), np.int8)
    np.put_along_axis(present, values, 1, axis=1)
    return present[:, MISSING + 1 :]
