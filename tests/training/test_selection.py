"""Choosing the best epoch by the recall of a cascade on the validation part."""

import csv
import dataclasses

import numpy as np
import pytest

import models
from preprocess.movielens import ADAPTER
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from prerank.errors import InputError
from training.cascade import CascadeRecall
from training.config import parse
from training.requests import Requests
from training.scoring import top_items
from training.selection import selection
from training.trainer import train

_SMALL = ["--hidden_units", "32,16", "--embedding_dim", "8", "--batch_size", "512"]


def _train(folder, data, *argv):
    config = parse(["--output_dir", str(folder / "runs"), *_SMALL, *argv], program="train.py", description="Train.")
    return train(config, data, lambda _: None)


def test_the_best_epoch_is_that_of_the_highest_recall(prepared, tmp_path):
    result = _train(
        tmp_path, prepared, "--model_name=dssm", "--epoch=5", "--patience=2", "--lr=0.01",
        "--select_by=cascade_recall@20",
    )  # fmt: skip
    with (result.folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    recalls = [float(row["val_cascade_recall@20"]) for row in rows]
    assert result.metrics["best_epoch"] == int(np.argmax(recalls)) + 1
    assert len(recalls) == min(5, result.metrics["best_epoch"] + 2)
    assert CascadeRecall(prepared, cutoff=20)(result.model) == pytest.approx(max(recalls), abs=1e-9)
    assert all(0.4 < float(row["val_auc"]) < 1 for row in rows)


def test_by_default_no_recall_is_computed(prepared):
    model = models.build("lr", prepared.spec)
    assert selection("auc", prepared, model) is None
    assert isinstance(selection("cascade_recall@50", prepared, model), CascadeRecall)


def test_a_part_without_later_positives_is_told(prepared, monkeypatch):
    whole = Requests.of(prepared, "validation", 3)
    whole.positives[:] = [np.array([], int)] * 3
    monkeypatch.setattr(Requests, "of", lambda *args: whole)
    with pytest.raises(InputError, match="--select_by cascade_recall@50: no request of the validation part"):
        selection("cascade_recall@50", prepared, models.build("lr", prepared.spec))


@pytest.mark.parametrize(("name", "count"), [("dssm", 500), ("cold", 100)])
def test_whether_there_is_a_value_depends_on_the_requests_that_the_model_is_asked(prepared, monkeypatch, name, count):
    """Of these requests only the last of 500 has a later positive."""
    whole = Requests.of(prepared, "validation", 3)

    def drawn(data, part, asked):
        assert asked == count
        return dataclasses.replace(whole, positives=[np.arange(asked == 500)] * 3)

    monkeypatch.setattr(Requests, "of", drawn)
    model = models.build(name, prepared.spec)
    assert CascadeRecall(prepared).exists(model) == (count == 500)
    assert np.isfinite(CascadeRecall(prepared)(model)) == (count == 500)


def test_trained_on_permuted_labels_a_model_finds_later_positives_by_chance_only(sample_folder, tmp_path):
    """A leak of the judged part into users or items would show as recall above that of a random list."""
    for file in sample_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    table = [line.split("::") for line in (sample_folder / "ratings.dat").read_text().splitlines()]
    ratings = np.random.default_rng(7).permutation([line[2] for line in table])
    lines = [
        "::".join([user, item, rating, moment]) for (user, item, _, moment), rating in zip(table, ratings, strict=True)
    ]
    (tmp_path / "ratings.dat").write_text("\n".join(lines) + "\n")
    data = prepare(ADAPTER, DataOptions(data_path=tmp_path, prepared_dir=tmp_path / "prepared"), lambda _: None)
    model = _train(tmp_path, data, "--model_name=dssm", "--epoch=2").model
    requests = Requests.of(data, "test", 10_000)
    best = top_items(model, requests, 50)
    found, chance = [], []
    for positives, passed, left_out in zip(requests.positives, best, requests.left_out, strict=True):
        if len(positives):
            found.append(np.isin(positives, passed).mean())
            chance.append(50 / (requests.item_count - len(left_out)))
    assert np.mean(found) < 2 * np.mean(chance)
