"""A worker process of `test_workers`: the MovieLens script, which also keeps the rows that it is given to train on.

Usage: worker.py FILE FLAGS. FILE gets, as a NumPy array (n, 5), the users, items, their means and labels of the rows of
the first epoch that the process trains.
"""

import sys
from pathlib import Path

import numpy as np

import legacy_keras  # noqa: F401  (before TensorFlow)  # isort: skip
import tensorflow as tf  # isort: skip
from models.batch import Batch
from train_movielens_whole_models import SOURCE
from training.app import main
from training.batches import Batches

COLUMNS = ("user_id", "movie_id", "user_mean_rating", "item_mean_rating")

given: list[np.ndarray] = []
elements = 0
plain = Batches.dataset


def _keep(*columns: np.ndarray) -> np.ndarray:
    given.append(np.stack(columns, axis=1).astype(np.float32))
    return columns[-1]


def _recording(batches: Batches, first_epoch: int = 0, plan=None, share=None) -> tf.data.Dataset:
    global elements
    dataset = plain(batches, first_epoch, plan, share)
    if plan is None:  # evaluation
        return dataset
    elements = len(batches) * len(share.replicas)

    def keep(batch: Batch) -> Batch:
        columns = [batch.features[name] for name in COLUMNS]
        labels = tf.numpy_function(_keep, [*columns, batch.labels], tf.float32)
        return batch._replace(labels=tf.ensure_shape(labels, [None]))

    return dataset.map(keep)


if __name__ == "__main__":
    Batches.dataset = _recording
    code = main(SOURCE, sys.argv[2:])
    if given:
        np.save(Path(sys.argv[1]), np.concatenate(given[:elements]))  # the pipeline runs ahead into the next epoch
    sys.exit(code)
