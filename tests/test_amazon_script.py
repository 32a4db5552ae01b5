"""The training script for Amazon as a user runs it."""

import os

import pytest

import train_amazon_whole_models as script
from training.app import main

_SMALL = ["--hidden_units", "16,8", "--embedding_dim", "4", "--epoch", "1"]
_EXTRACTS = [
    ("electronics/ratings_Electronics_head.csv.gz", "electronics", []),
    ("electronics/electronics_new_users_2014_reindexed.tsv.gz", "electronics", ["--negatives", "1"]),
    ("grocery", "grocery_and_gourmet_food", ["--negatives", "1"]),
    ("musical-instruments", "musical_instruments", []),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_data_it_says_so_and_runs_on_a_sample_of_the_category(here, monkeypatch, capsys):
    monkeypatch.setattr("preprocess.generate.amazon.SAMPLE_ROWS", 2_000)
    flags = ["--model_name", "target_means", "--category", "books"]
    assert main(script.SOURCE, flags) == 0
    said = capsys.readouterr().out
    assert "no data in data/amazon: get the edition of 2014 with --download" in said
    assert "ceiling" in said
    assert "target_means on amazon_books_generated, protocol strict: finished" in said
    assert (here / "data/amazon-generated-sample/books/reviews_Books_5.json.gz").exists()
    assert main(script.SOURCE, [*flags, "--random_seed", "1"]) == 0
    assert "reusing" in capsys.readouterr().out
    assert sorted(os.listdir(here / "runs")) == ["amazon_books_generated"]


def test_another_category_than_the_data_or_than_any_is_refused(here, capsys):
    (here / "data/amazon").mkdir(parents=True)
    assert main(script.SOURCE, ["--model_name", "target_means", "--category", "baby"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: data/amazon: no reviews of --category baby (--download fetches them): expected ")
    assert main(script.SOURCE, ["--category", "bananas"]) == 2
    error = capsys.readouterr().err
    assert "--category" in error
    assert "'books'" in error
    assert error.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(("path", "category", "flags"), _EXTRACTS, ids=lambda value: str(value)[:24])
def test_every_real_extract_goes_through(here, real_data, path, category, flags):
    flags = [*flags, "--data_path", str(real_data / "amazon" / path), "--category", category, *_SMALL]
    assert main(script.SOURCE, [*flags, "--model_name", "hit", "--export_dir", "out"]) == 0
    assert (here / "out" / "saved_model.pb").exists()
