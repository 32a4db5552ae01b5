"""Amazon's labels, permuted so that they mean nothing, must stay unpredictable under `strict`."""

import gzip
import re

import numpy as np
import pytest
from leaks import regression_aucs

from preprocess.amazon import Amazon, AmazonOptions
from preprocess.generate.amazon import generate
from preprocess.prepare import prepare

pytestmark = pytest.mark.slow

_STRICT = [{"split": "time"}, {"split": "time", "state": "frozen"}, {"split": "user_time"}, {"split": "random"}]


@pytest.fixture(scope="module")
def permuted(tmp_path_factory):
    """Generated reviews whose stars were permuted over all rows."""
    folder = tmp_path_factory.mktemp("leaks") / "raw"
    generate(folder, rows=100_000, seed=3)
    file = folder / "reviews_Electronics_5.json.gz"
    text = gzip.decompress(file.read_bytes()).decode()
    stars = iter(np.random.default_rng(0).permutation(re.findall(r'"overall": ([1-5])', text)))
    text = re.sub(r'"overall": [1-5]', lambda found: f'"overall": {next(stars)}', text)
    file.write_bytes(gzip.compress(text.encode(), 1))
    return folder


def _prepared(permuted, **options):
    options = AmazonOptions(data_path=permuted, prepared_dir=permuted.parent / "prepared", **options)
    return prepare(Amazon(), options, lambda _: None)


@pytest.mark.parametrize("options", _STRICT, ids=lambda options: "-".join(options.values()))
def test_strict_leaves_nothing_to_predict(permuted, options):
    on_train, on_test = regression_aucs(_prepared(permuted, **options))
    assert on_train <= 0.52
    assert on_test == pytest.approx(0.5, abs=0.02)


def test_reference_predicts_labels_that_mean_nothing(permuted):
    assert regression_aucs(_prepared(permuted, protocol="reference"))[1] > 0.75
