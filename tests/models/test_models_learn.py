"""What 300 steps on the generated sample have to teach a model, and what nothing can teach it."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.special import logit

import models
from preprocess.generate.movielens import PROBABILITIES, SAMPLE_ROWS, generate
from preprocess.movielens import ADAPTER
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from training import metrics
from training.batches import Batches, read_columns
from training.callbacks import predict
from training.evaluation import floor
from training.options import RunOptions
from training.trainer import compile_model

pytestmark = pytest.mark.slow

_STEPS, _BATCH, _RATE = 300, 512, 0.003
_NEED_NOT_BEAT_THE_FLOOR = {
    "ease": "orders items by how likely a user is to come to them, not by whether the user likes them",
    "lr": "as linear as the floor, with ids that it knows only from few rows",
    "target_means": "is the floor",
}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The generated sample, prepared, and the true probabilities of its test part."""
    place = tmp_path_factory.mktemp("learn")
    generate(place / "raw", rows=SAMPLE_ROWS)
    data = prepare(ADAPTER, DataOptions(data_path=place / "raw", prepared_dir=place / "prepared"), lambda _: None)
    columns = read_columns(data, "test", [data.spec.label, "row"])
    truth = pq.read_table(place / "raw" / PROBABILITIES)["probability"].to_numpy()[columns["row"]]
    return data, columns[data.spec.label], truth


def standard_error(labels, auc):
    """Of an AUC: Hanley & McNeil, Radiology 1982, equation 1."""
    positives, negatives = labels.sum(), (1 - labels).sum()
    above, below = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (positives - 1) * (above - auc**2) + (negatives - 1) * (below - auc**2)
    return np.sqrt(spread / (positives * negatives))


def trained(name, data):
    model = models.build(name, data.spec)
    batches = Batches(data, "train", _BATCH, shuffle=True, oov_rate=0.05)
    model.prepare(batches.columns)
    if not model.fit_directly(batches.columns):
        compile_model(model, RunOptions(lr=_RATE))
        model.fit(batches.dataset().repeat(), steps_per_epoch=_STEPS, verbose=0)
    return predict(model, Batches(data, "test", 8192).dataset())


@pytest.mark.parametrize("name", models.names())
def test_better_than_the_floor_and_not_better_than_the_truth(name, sample):
    data, labels, truth = sample
    logits = trained(name, data)
    auc, ceiling = metrics.auc(labels, logits), metrics.auc(labels, logit(truth))
    assert auc < ceiling + standard_error(labels, ceiling)
    if models.get(name).calibrated and name not in _NEED_NOT_BEAT_THE_FLOOR:
        assert auc > floor(data)["auc"], f"{auc:.4f}, ceiling {ceiling:.4f}"
