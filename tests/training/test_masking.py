"""Which ids training does not show: by default, by the option, and with the leak that needs no masks."""

import numpy as np
import pytest

from features import MISSING, UNSEEN
from training.batches import Batches, read_columns
from training.config import parse
from training.objective_setup import oov_rate, prepared_training, training_batches


def config(*argv):
    return parse(["--model_name", "dssm", *argv], program="train.py", description="Train.")


@pytest.mark.parametrize(
    ("argv", "rate"),
    [
        ([], 0.05),
        (["--oov_rate", "0"], 0.0),
        (["--oov_rate", "0.2"], 0.2),
        (["--leak", "encoders"], 0.0),
        (["--leak", "history,scaler"], 0.05),
        (["--protocol", "reference"], 0.0),
        (["--protocol", "reference", "--leak", "history"], 0.05),
        (["--protocol", "reference", "--oov_rate", "0.1"], 0.1),
    ],
)
def test_the_share_that_is_masked(argv, rate):
    assert oov_rate(config(*argv)) == rate


def _shares(batches, name):
    """The shares of unseen and missing values of a field, and those that the rows have anyway."""
    place = next(start for field, start, _ in batches.layout.indices if field.name == name)
    ids = np.concatenate([integers[:, place] for integers, _ in batches.epoch(0)])
    return np.mean(ids == UNSEEN), np.mean(ids == MISSING)


@pytest.mark.parametrize("made", [training_batches, lambda *args: prepared_training(*args)[0]])
def test_ids_are_masked_unless_told_otherwise(prepared, made):
    stored = read_columns(prepared, "train", ["movie_id"])["movie_id"]
    assert (stored > UNSEEN).all(), "no row lacks its id"
    unseen, missing = _shares(made(config(), prepared), "movie_id")
    assert unseen == pytest.approx(0.05, abs=0.01)
    assert missing == pytest.approx(0.01, abs=0.005)
    unseen, missing = _shares(made(config("--oov_rate", "0.3"), prepared), "movie_id")
    assert unseen == pytest.approx(0.3, abs=0.02)
    assert missing == pytest.approx(0.06, abs=0.01)
    for argv in (["--oov_rate", "0"], ["--leak", "encoders"]):
        assert _shares(made(config(*argv), prepared), "movie_id") == (0, 0)


def test_nothing_is_masked_where_a_model_is_judged(prepared):
    for part in ("validation", "test"):
        stored = read_columns(prepared, part, ["movie_id"])["movie_id"]
        found = _shares(Batches(prepared, part, 500), "movie_id")
        assert found == (np.mean(stored == UNSEEN), np.mean(stored == MISSING))
