"""Clicks that mean nothing, as they were permuted, must stay unpredictable under `strict`."""

import numpy as np
import pytest
from leaks import regression_aucs

from preprocess.generate.taobao import generate
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from preprocess.taobao import ADAPTER
from training.config import parse
from training.trainer import train

pytestmark = pytest.mark.slow

_STRICT = [{"split": "time"}, {"split": "time", "state": "frozen"}, {"split": "user_time"}, {"split": "random"}]


def _permuted(folder, behaviours=0):
    """Generated files whose clicks were permuted over all impressions."""
    generate(folder, rows=60_000, seed=3, behaviours=behaviours, users=2_000, ads=1_000, clicks=0.3)
    header, *lines = (folder / "raw_sample.csv").read_text().splitlines()
    clicks = np.random.default_rng(0).permutation([line[-1] for line in lines])
    rows = (f"{line[:-4]},{1 - int(click)},{click}" for line, click in zip(lines, clicks, strict=True))
    (folder / "raw_sample.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


@pytest.fixture(scope="module")
def permuted(tmp_path_factory):
    return _permuted(tmp_path_factory.mktemp("leaks") / "raw")


def _prepared(permuted, **options):
    options = DataOptions(data_path=permuted, prepared_dir=permuted.parent / "prepared", **options)
    return prepare(ADAPTER, options, lambda _: None)


@pytest.mark.parametrize("options", _STRICT, ids=lambda options: "-".join(options.values()))
def test_strict_leaves_nothing_to_predict(permuted, options):
    prepared = _prepared(permuted, **options)
    on_train, on_test = regression_aucs(prepared)
    assert on_train <= 0.52
    if prepared.rows("test") > 3_000:
        assert on_test == pytest.approx(0.5, abs=0.02)


def test_behaviours_tell_nothing_either(tmp_path):
    prepared = _prepared(_permuted(tmp_path / "raw", behaviours=60_000))
    assert prepared.spec.behaviours
    flags = ["--model_name", "hit", "--output_dir", str(tmp_path), "--epoch", "1", "--hidden_units", "32,16"]
    config = parse([*flags, "--embedding_dim", "8"], program="train.py", description="Train.")
    found = train(config, prepared, lambda _: None).metrics["test"]["auc"]
    assert found == pytest.approx(0.5, abs=0.025)


def test_reference_predicts_clicks_that_mean_nothing(permuted):
    assert regression_aucs(_prepared(permuted, protocol="reference"))[1] > 0.75
