"""What a training reads of its own state and of its environment, damaged."""

import json

import pytest
import tensorflow as tf
from damaged import EXAMPLES, damaged_json, survives

from training.cluster import Cluster
from training.progress import CheckpointStore, Progress

pytestmark = pytest.mark.parametrize("examples", EXAMPLES)


def test_progress_of_a_training(tmp_path, examples):
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1,))])
    store = CheckpointStore(tmp_path, model, tf.keras.optimizers.SGD())
    progress = Progress(1, 0, 0.7, False, "", [{"epoch": 1, "loss": float("nan")}])
    store.save(progress)
    assert repr(store.restore()) == repr(progress)
    file = tmp_path / "progress.json"

    def read(damaged):
        file.write_bytes(damaged)
        store.restore_best(store.restore())

    survives(damaged_json(json.loads(file.read_text())), read, examples)


def test_tf_config(examples):
    whole = {
        "cluster": {"chief": ["c:1"], "worker": ["host1:2222", "host2:2222"]},
        "task": {"type": "worker", "index": 0},
    }

    def read(damaged):
        Cluster.from_environment({"TF_CONFIG": damaged.decode("utf-8", "surrogateescape")})

    survives(damaged_json(whole), read, examples)
