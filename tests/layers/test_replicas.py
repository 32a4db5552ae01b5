"""The numbers by which replicas draw: no two are equal, whatever the step."""

import tensorflow as tf

from layers.replicas import draw_number, replica_count


def test_alone_the_step_is_the_number():
    assert replica_count() == 1
    assert [int(draw_number(tf.constant(step, tf.int64))) for step in range(5)] == [0, 1, 2, 3, 4]


def test_no_two_replicas_and_steps_have_the_same_number():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        assert replica_count() == 2

    @tf.function
    def numbers(step):
        return strategy.experimental_local_results(strategy.run(draw_number, [step]))

    found = [int(number) for step in range(5) for number in numbers(tf.constant(step, tf.int64))]
    assert found == list(range(10))
