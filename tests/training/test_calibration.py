"""Calibration on the validation part: maps that are known, measures by hand, and a whole run."""

import json

import numpy as np
import pytest

from prerank.calibration import Probabilities
from training.calibration import fit, measured
from training.config import parse
from training.metrics import pcoc
from training.trainer import train


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rows(truth, count=200_000, seed=0):
    """Logits (n,) and labels (n,) whose probability is a function of the logit."""
    random = np.random.default_rng(seed)
    logits = random.normal(-1, 2, count).astype(np.float32)
    return logits, (random.random(count) < truth(logits.astype(float))).astype(int)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(temperature):
    logits, labels = rows(lambda x: sigmoid(x / temperature))
    assert fit("temperature", logits, labels)["temperature"] == pytest.approx(temperature, rel=0.03)


def test_isotonic_finds_a_rising_function_that_is_no_logistic_one():
    def truth(x):
        return 0.05 + 0.3 * (x > 0) + 0.1 * sigmoid(2 * x)

    logits, labels = rows(truth)
    found = fit("isotonic", logits, labels)
    assert 2 <= len(found["logits"]) <= 100
    places = np.array([-4.0, -2.0, -1.0, 1.0, 2.0, 3.0], np.float32)
    np.testing.assert_allclose(Probabilities(found).of(places), truth(places), rtol=0, atol=0.02)
    assert (np.diff(found["probabilities"]) >= 0).all()
    after = measured(found, *rows(truth, seed=1))
    assert after["ece_before"] > 0.1
    assert after["ece_after"] < 0.01
    assert after["pcoc_after"] == pytest.approx(1, abs=0.02)


def test_isotonic_of_few_rows_and_equal_logits_has_no_certainty():
    found = fit("isotonic", np.float32([1, 1, 2, 2]), np.array([0, 0, 1, 1]))
    assert found["logits"] == [1, 2]
    assert found["probabilities"] == pytest.approx([0.5 / 3, 2.5 / 3])  # a row of the mean label, 0.5, in each
    assert Probabilities(found).of(np.float32([-9, 1.5, 9])) == pytest.approx([0.5 / 3, 0.5, 2.5 / 3])


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_a_row_of_weight_two_counts_as_two_rows(method):
    logits, labels = rows(lambda x: sigmoid(x / 2), 2_000)
    weights = np.random.default_rng(2).integers(1, 3, len(logits))
    places = np.float32([-3, 0, 2])
    one = Probabilities(fit(method, logits, labels, weights.astype(float))).of(places)
    two = Probabilities(fit(method, np.repeat(logits, weights), np.repeat(labels, weights))).of(places)
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-4 if method == "temperature" else 0.03)


def test_pcoc_by_hand():
    assert pcoc([1, 0, 0, 1], [0.5, 0.25, 0.25, 0.5]) == 0.75
    assert pcoc([1, 0], [0.5, 0.25], [1, 4]) == 1.5
    assert np.isnan(pcoc([0, 0], [0.5, 0.25]))


def config(folder, *argv):
    flags = ["--output_dir", str(folder / "runs"), "--model_name", "lr", "--epoch", "1", *argv]
    return parse(flags, program="train.py", description="Train.")


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_a_run_keeps_its_map_and_what_it_changed(method, prepared, tmp_path):
    result = train(config(tmp_path, "--calibrate", method), prepared, lambda _: None)
    stored = json.loads((result.folder / "metrics.json").read_text())["calibration"]
    assert stored["map"]["kind"] == method
    assert set(stored) == {"map", "validation", "test"}
    assert stored["validation"]["logloss_after"] < stored["validation"]["logloss_before"]
    assert stored["test"]["ece_before"] == pytest.approx(result.metrics["test"]["ece"])


def test_without_it_a_run_is_as_before(tmp_path):
    plain = config(tmp_path)
    assert plain.identity("data") == config(tmp_path, "--calibrate", "none").identity("data")
    assert plain.identity("data") != config(tmp_path, "--calibrate", "isotonic").identity("data")
