import ast
import gzip
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from preprocess.generate.__main__ import main
from preprocess.generate.amazon import POSITIVES, PROBABILITIES, ceiling_auc, generate
from prerank.errors import InputError

ROWS = 20_000


def lines(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("generated") / "amazon"
    generate(target, rows=ROWS, seed=5)
    return target


@pytest.fixture(scope="module")
def products(folder):
    return pd.DataFrame([ast.literal_eval(line) for line in lines(folder / "meta_Electronics.json.gz")])


@pytest.fixture(scope="module")
def reviews(folder):
    """The reviews, with their labels, true probabilities and products."""
    table = pd.DataFrame([json.loads(line) for line in lines(folder / "reviews_Electronics_5.json.gz")])
    truth = pd.read_parquet(folder / PROBABILITIES)
    return table.assign(label=table.overall >= 4, probability=truth.probability)


def test_files_have_the_official_layout(folder, products, reviews):
    official = "reviewerID asin reviewerName helpful reviewText overall summary unixReviewTime reviewTime"
    assert list(json.loads(lines(folder / "reviews_Electronics_5.json.gz")[0])) == official.split()
    assert len(reviews) == ROWS
    assert set(reviews.overall) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert (reviews.unixReviewTime % 86_400 == 0).all()
    assert reviews.reviewTime[0] == pd.Timestamp(reviews.unixReviewTime[0], unit="s").strftime("%m %-d, %Y")
    assert products.asin.is_unique
    assert products.asin.str.fullmatch("[A-Z0-9]{10}").all()
    assert reviews.reviewerID.str.fullmatch("A[A-Z0-9]{13}").all()
    with pytest.raises(json.JSONDecodeError):
        json.loads(lines(folder / "meta_Electronics.json.gz")[0])


def test_prices_categories_and_products_are_missing(products, reviews):
    assert products.price.isna().mean() == pytest.approx(0.3, abs=0.05)
    assert products.categories.isna().mean() == pytest.approx(0.02, abs=0.02)
    assert (~reviews.asin.drop_duplicates().isin(products.asin)).mean() == pytest.approx(0.02, abs=0.02)
    assert (~products.asin.isin(reviews.asin)).mean() > 0.1
    paths = products.categories.dropna()
    assert (paths.str[0].str[0] == "Electronics").all()
    assert paths.str[-1].str[-1].nunique() > 30


def test_probabilities_are_those_of_the_labels(folder, reviews):
    truth = pd.read_parquet(folder / PROBABILITIES)
    assert list(truth.row) == list(range(ROWS))
    assert (truth.label == reviews.label).all()
    assert reviews.label.mean() == pytest.approx(POSITIVES, abs=0.02)
    by_bin = reviews.groupby((reviews.probability * 10).astype(int)).agg(
        truth=("probability", "mean"), label=("label", "mean"), rows=("label", "size")
    )
    assert (np.abs(by_bin.truth - by_bin.label) < 4 * np.sqrt(0.25 / by_bin.rows)).all()
    assert ceiling_auc(folder) == pytest.approx(roc_auc_score(reviews.label, reviews.probability), abs=1e-5)
    assert 0.8 < ceiling_auc(folder) < 0.9


def test_ids_are_heavy_tailed_times_are_tied_and_some_come_late(reviews):
    users, items = reviews.reviewerID.value_counts(), reviews.asin.value_counts()
    assert users.min() >= 5
    assert users.max() > 8 * users.median()
    assert items.max() > 8 * items.median()
    assert reviews.duplicated(["reviewerID", "unixReviewTime"], keep=False).mean() > 0.3
    assert reviews.duplicated(["reviewerID", "asin"]).mean() < 0.02
    first = reviews.groupby("reviewerID").unixReviewTime.min()
    late = reviews.unixReviewTime.quantile(0.9)
    assert (first >= late).sum() > 5
    assert (reviews.groupby("asin").unixReviewTime.min() >= late).sum() > 3


def test_what_is_planted_shows(reviews, products):
    """A category's share of a reviewer's other reviews tells how a review in it ends."""
    last = products.set_index("asin").categories.str[-1].str[-1]
    table = reviews.assign(kind=reviews.asin.map(last)).dropna(subset=["kind"])
    others = table.groupby(["reviewerID", "kind"]).label.transform("size") - 1
    assert roc_auc_score(table.label, others) > 0.58


def test_any_seed_and_any_size_of_block_make_one_data_set(tmp_path, monkeypatch):
    generate(tmp_path / "a", rows=3_000, seed=1)
    generate(tmp_path / "other", rows=3_000, seed=2)
    monkeypatch.setattr("preprocess.generate.amazon._BLOCK", 100)
    generate(tmp_path / "b", rows=3_000, seed=1)
    for file in (tmp_path / "a").glob("*.gz"):
        assert lines(file) == lines(tmp_path / "b" / file.name)
        assert lines(file) != lines(tmp_path / "other" / file.name)
    assert pd.read_parquet(tmp_path / "a" / PROBABILITIES).equals(pd.read_parquet(tmp_path / "b" / PROBABILITIES))


def test_the_size_and_the_category_can_be_chosen(tmp_path):
    generate(tmp_path / "books", rows=400, users=30, items=70, category="Books")
    assert len(lines(tmp_path / "books" / "reviews_Books_5.json.gz")) == 400
    assert "'categories': [['Books']" in lines(tmp_path / "books" / "meta_Books.json.gz")[0]
    generate(tmp_path / "one", rows=1)
    assert len(lines(tmp_path / "one" / "reviews_Electronics_5.json.gz")) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rows": 0}, "rows must be 1 or more"),
        ({"rows": 10, "users": 11}, "it takes 1 to 10 reviewers"),
        ({"rows": 10, "items": 0}, "and 1 product"),
        ({"rows": 10, "seed": -1}, "seed must be 0 or more"),
        ({"rows": 10, "positives": 0.0}, "share between 0 and 1"),
    ],
)
def test_impossible_sizes_are_refused(tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        generate(tmp_path / "never", **options)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_and_prints_the_ceiling(tmp_path, capsys):
    command = ["--dataset", "amazon", "--rows", "3000", "--seed", "4", "--out", str(tmp_path / "data")]
    assert main(command) == 0
    assert f"{ceiling_auc(tmp_path / 'data'):.4f}" in capsys.readouterr().out
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
