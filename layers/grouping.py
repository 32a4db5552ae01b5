"""Rows of a batch that have a value in common."""

import tensorflow as tf


def group_ids(values: tf.Tensor) -> tf.Tensor:
    """Ids (B,) int32 in [0, B) of values (B,): rows have the same id if and only if they have the same value."""
    return tf.searchsorted(tf.sort(values), values)


def group_sums(values: tf.Tensor, groups: tf.Tensor) -> tf.Tensor:
    """Sums (B, ...) of values (B, ...) by group; row i is the sum of the group with id i, zeros where none has it."""
    return tf.math.unsorted_segment_sum(values, groups, tf.shape(groups)[0])
