"""Boosted trees as a part of a TensorFlow graph."""

from dataclasses import fields

import numpy as np
import tensorflow as tf

from models.gbdt.trees import CATEGORIES, IN_SET, NOT_IN_SET, OTHER, ROWS_AT_ONCE, Trees


class TreeScores(tf.Module):
    """What :meth:`Trees.scores` computes, of the trees that were assigned last.

    The arrays are variables of an open length. So a graph that was traced before scores by new trees too.

    Args:
        columns: F, of the table that is scored.
    """

    def __init__(self, columns: int):
        super().__init__()
        trees = Trees.none(columns)
        self.columns = columns
        self._arrays = {
            field.name: _variable(field.name, _as_tensor(field.name, trees))
            for field in fields(Trees)
            if field.name != "columns"
        }
        # Derived from the arrays: where each level starts, in the nodes and in the splits, (D + 1,).
        self._node_starts = _variable("node_starts", np.array([0, 1], np.int32))
        self._split_starts = _variable("split_starts", np.array([0, 0], np.int32))

    def assign(self, trees: Trees) -> None:
        """Score by other trees from now on."""
        for name, variable in self._arrays.items():
            variable.assign(_as_tensor(name, trees))
        last = trees.levels[-1]
        self._node_starts.assign([*(level.nodes.start for level in trees.levels), last.nodes.stop])
        self._split_starts.assign([*(level.splits.start for level in trees.levels), last.splits.stop])

    def trees(self) -> Trees:
        """The trees."""
        arrays = {name: variable.numpy() for name, variable in self._arrays.items()}
        return Trees(**{**arrays, "columns": np.array(self.columns), "sets": arrays["sets"] == IN_SET})

    def __call__(self, table: tf.Tensor) -> tf.Tensor:
        """Scores (n,) float64 of a table (n, F) float32. A missing value is NaN."""
        # Out of the loop, where TensorFlow would print a line about `is_nan` in each process.
        table = tf.concat([table, tf.where(tf.math.is_nan(table), -float("inf"), table)], axis=1)

        def more(start: tf.Tensor, scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            stop = start + ROWS_AT_ONCE
            return stop, tf.concat([scores, self._scores(tf.transpose(table[start:stop]))], 0)

        first = (tf.constant(0), tf.zeros([0], tf.float64))
        shapes = (tf.TensorShape([]), tf.TensorShape([None]))
        _, scores = tf.while_loop(
            lambda start, _: start < tf.shape(table)[0], more, first, shapes, parallel_iterations=1
        )
        return scores

    def _scores(self, table: tf.Tensor) -> tf.Tensor:
        """Scores (n,) of a table (2F, n), from the leaves up: a node's value is that of the child a row goes to."""
        array, node_starts, split_starts = self._arrays, self._node_starts, self._split_starts
        rows = tf.shape(table)[1]
        compared = self._compared(table)

        def up(level: tf.Tensor, below: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            nodes, splits = (slice(starts[level], starts[level + 1]) for starts in (node_starts, split_starts))
            left = tf.gather(compared, array["column"][splits]) <= array["threshold"][splits, tf.newaxis]
            pairs = tf.reshape(below, [-1, 2, rows])
            chosen = tf.where(left, pairs[:, 0], pairs[:, 1])
            value = array["value"][nodes, tf.newaxis]
            values = tf.broadcast_to(value, [tf.shape(value)[0], rows])
            places = array["split"][splits, tf.newaxis] - nodes.start
            return level - 1, tf.tensor_scatter_nd_update(values, places, chosen)

        lowest = (tf.shape(node_starts)[0] - 2, tf.zeros([0, rows], tf.float64))
        shapes = (tf.TensorShape([]), tf.TensorShape([None, None]))
        _, roots = tf.while_loop(lambda level, _: level >= 0, up, lowest, shapes, parallel_iterations=1)
        return tf.reduce_sum(roots, axis=0) + array["baseline"]

    def _compared(self, table: tf.Tensor) -> tf.Tensor:
        """What splits compare, (2F + C, n)."""
        known = (table >= 0) & (table < CATEGORIES) & tf.equal(table, tf.floor(table))
        category = tf.cast(tf.where(known, table, float(OTHER)), tf.int32)
        of_set = tf.gather(category, self._arrays["set_column"])
        starts = tf.range(tf.shape(of_set)[0])[:, tf.newaxis] * (CATEGORIES + 1)
        in_set = tf.gather(tf.reshape(self._arrays["sets"], [-1]), starts + of_set)
        return tf.concat([table, in_set], axis=0)


def _as_tensor(name: str, trees: Trees) -> np.ndarray:
    """An array of `trees` as the graph has it: sets as the numbers that splits compare."""
    array = getattr(trees, name)
    return np.where(array, IN_SET, NOT_IN_SET).astype(np.float32) if name == "sets" else array


def _variable(name: str, value: np.ndarray) -> tf.Variable:
    return tf.Variable(value, trainable=False, name=name, shape=[None] * value.ndim)
