"""Boosted trees on the tabular features."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from sklearn.ensemble import HistGradientBoostingClassifier

from features import MISSING, FeatureSpec
from features import Field as Feature
from models.base import PreRankingModel, ReadColumns
from models.gbdt.options import ENTRY, GBDTOptions
from models.gbdt.scikit_learn_trees import trees_of
from models.gbdt.tree_scores import TreeScores
from models.gbdt.trees import CATEGORIES, Trees
from models.inputs import Inputs
from prerank.errors import InputError

_MOST_ROWS = 4_000_000
_ROWS_AT_ONCE = 100_000
_FILE = "best.npz"
_OLD_FILE = "best.joblib"


@ENTRY
class GBDT(PreRankingModel):
    """Gradient-boosted trees on ids, numbers, sets and the lengths of sequences.

    The public HIT repository trains one per data set. An id of at most 255 values is a category, one of more values a
    number, its index. Of several ids a row the trees see which there are, a column each, if there are at most 255
    values, and else how many; genres as a mere count leave them below `target_means` on the generated sample. Of more
    than 4,000,000 training rows they are grown on a random sample of about as many, as all have to be in memory.
    Neither `embedding_dim` nor `dropout` plays a role, and the seed only decides which rows the bins come from where
    there are more than 200,000. Rows count their weights, if they have some.

    scikit-learn only grows the trees. They are kept as arrays of numbers, and scored from these by operations of
    TensorFlow, in training as in an export. XLA does not compile these, as the levels of trees differ in size.
    """

    options: GBDTOptions
    trains_bias = False

    def __init__(self, spec: FeatureSpec, options: GBDTOptions, **kwargs):
        super().__init__(spec, options, **kwargs)
        self._scores = TreeScores(sum(_width(field) for field in spec.fields))

    def fit_directly(self, read: ReadColumns) -> bool:
        weight = [self.spec.beside("weight")] if "weight" in self.spec.row_columns else []
        columns = read([*(field.name for field in self.spec.fields), self.spec.label, *weight], _MOST_ROWS)
        rated = columns[self.spec.label] >= 0
        if not rated.all():
            columns = {name: values[rated] for name, values in columns.items()}
        options = self.options
        categorical = [
            field.kind == "sparse" and _is_small(field) for field in self.spec.fields for _ in range(_width(field))
        ]
        growing = HistGradientBoostingClassifier(
            learning_rate=options.tree_lr,
            max_iter=options.trees,
            max_leaf_nodes=options.leaves,
            min_samples_leaf=options.leaf_rows,
            categorical_features=categorical,
            early_stopping=False,
            random_state=self.seed,
        )
        table = self._whole_table(columns)
        weights = columns[weight[0]] if weight else None
        growing.fit(table, columns[self.spec.label], sample_weight=weights)
        self._scores.assign(trees_of(growing, categorical, table))
        return True

    def call(self, inputs: Inputs, training: bool | None = None) -> tf.Tensor:
        """Logits (B,) float32; all equal before :meth:`fit_directly`."""
        return tf.cast(self._scores(self._table(inputs)), tf.float32) + self.bias

    def _table(self, inputs: Inputs) -> tf.Tensor:
        """(B, F) float32, as many columns a field as :func:`_width` says."""
        return tf.concat([_columns(field, inputs[field.name]) for field in self.spec.fields], axis=1)

    def _whole_table(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """:meth:`_table` of many rows, some at a time."""
        rows = len(columns[self.spec.label])
        table = np.empty((rows, sum(_width(field) for field in self.spec.fields)), np.float32)
        for start in range(0, rows, _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            table[part] = self._table(
                {field.name: tf.constant(columns[field.name][part]) for field in self.spec.fields}
            )
        return table

    def parameters(self) -> int:
        """A number each for the leaves and the splits of all trees; 0 before :meth:`fit_directly`."""
        nodes = len(self._scores.trees().value)
        return nodes if nodes > 1 else 0

    def save_trained(self, folder: Path) -> None:
        self._scores.trees().write(folder / _FILE)

    def load_trained(self, folder: Path) -> None:
        """Read what :meth:`save_trained` wrote.

        Raises:
            InputError: the file is missing or damaged, or is of other data.
        """
        path = folder / _FILE
        if not path.exists() and (folder / _OLD_FILE).exists():
            raise InputError(
                "a file of an earlier version, and reading it could run code: train the run again",
                path=folder / _OLD_FILE,
            )
        self._scores.assign(Trees.read(path, self._scores.columns))


def _is_small(field: Feature) -> bool:
    return field.vocabulary_size <= CATEGORIES


def _width(field: Feature) -> int:
    return field.vocabulary_size - 1 if field.kind == "sequence" and _is_small(field) else 1


def _columns(field: Feature, values: tf.Tensor) -> tf.Tensor:
    """(B, width) float32 numbers of one field."""
    if field.kind != "sequence":
        return tf.cast(values, tf.float32)[:, tf.newaxis]
    if not _is_small(field):
        return tf.reduce_sum(tf.cast(values != MISSING, tf.float32), axis=1, keepdims=True)
    rows = tf.broadcast_to(tf.range(tf.shape(values)[0])[:, tf.newaxis], tf.shape(values))
    places = tf.stack([rows, tf.cast(values, tf.int32)], axis=-1)
    absent = tf.zeros([tf.shape(values)[0], field.vocabulary_size])
    return tf.tensor_scatter_nd_update(absent, places, tf.ones(tf.shape(values)))[:, MISSING + 1 :]
