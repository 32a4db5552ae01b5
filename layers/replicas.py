"""Which of the replicas that train together a layer runs on; without `tf.distribute` there is one."""

import tensorflow as tf


def replica_count() -> int:
    """How many replicas the present strategy trains with."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def draw_number(step: tf.Tensor) -> tf.Tensor:
    """A number of `step`, an int64 scalar, that no other replica and no other step has; `step` itself if alone."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return step
    return step * context.num_replicas_in_sync + tf.cast(context.replica_id_in_sync_group, tf.int64)
