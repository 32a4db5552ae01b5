"""Several labels in a schema, and runs that learn one or several of them."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.metrics import roc_auc_score

import train_whole_models as script
from features import UNLABELLED
from preprocess import schema as schemas
from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from prerank import description
from prerank.errors import InputError
from training.app import main
from training.batches import Batches, read_columns
from training.config import parse
from training.item_states import ItemStates
from training.tasks import of_task, predicted
from training.teacher import trained_model
from training.trainer import finished, train

SCHEMA = {
    "dataset": "shop",
    "user_id": "who",
    "item_id": "what",
    "labels": {
        "click": "clicked",
        "order": "bought",
        "like": {"column": "stars", "positive_from": 4, "leave_out": [3], "optional": True},
    },
    "time": "at",
    "history": "before",
    "user_mean": "eagerness",
    "item_mean": "appeal",
    "fields": {"who": {"side": "user", "type": "int64"}, "what": {"side": "item", "type": "int64"}},
}
ROWS = 4000
SMALL = ["--hidden_units", "16,8", "--embedding_dim", "8", "--batch_size", "256", "--lr", "0.01"]


def logs():
    """Whether a user clicks depends on the user and the item; who has clicked buys half of the items that are even."""
    random = np.random.default_rng(0)
    who, what = random.integers(0, 60, ROWS), random.integers(0, 40, ROWS)
    clicked = random.random(ROWS) < np.where(who % 3 == what % 3, 0.7, 0.2)
    bought = clicked & (random.random(ROWS) < np.where(what % 2 == 0, 0.6, 0.1))
    stars = np.where(bought, random.choice([2.0, 3.0, 5.0], ROWS), np.nan)
    at = 1_790_000_000 + np.arange(ROWS) * 60
    columns = {"who": who, "what": what, "clicked": clicked.astype(int), "bought": bought.astype(int)}
    return pd.DataFrame(columns | {"stars": stars, "at": at})


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    logs().to_parquet(folder / "rows.parquet")
    (folder / "schema.yaml").write_text(yaml.safe_dump(SCHEMA, sort_keys=False))
    return folder


def prepared(place, schema="schema.yaml", **options):
    given = OwnDataOptions(
        schema=place / schema, data_path=place / "rows.parquet", prepared_dir=place / "prepared", **options
    )
    return prepare(NoSchema(), given, lambda _: None)


@pytest.fixture(scope="module")
def data(place):
    return prepared(place)


def flags(place, *argv):
    return ["--output_dir", str(place / "runs"), "--epoch", "2", *SMALL, *argv]


def config(place, *argv):
    return parse(flags(place, *argv), program="train.py", description="Train.")


@pytest.fixture(scope="module")
def both(data, place):
    argv = ["--model_name", "dssm", "--tasks", "click,order", "--rank_by", "order", "--esmm"]
    options = config(place, *argv, "--calibrate", "temperature", "--save_predictions")
    return options, train(options, data, lambda _: None)


def test_each_label_has_a_rule_of_its_own(data):
    raw = logs()
    assert data.spec.labels == ("click", "order", "like")
    counts = {name: {"labelled": 0, "positives": 0} for name in data.spec.labels}
    for part in ("train", "validation", "test"):
        found = read_columns(data, part, ["row", "label", "label_order", "label_like"])
        rows = raw.iloc[found["row"]]
        np.testing.assert_array_equal(found["label"], rows.clicked)
        np.testing.assert_array_equal(found["label_order"], rows.bought)
        stars = rows.stars.to_numpy()
        expected = np.where(np.isnan(stars) | (stars == 3), UNLABELLED, stars >= 4)
        np.testing.assert_array_equal(found["label_like"], expected)
        assert {found[name].dtype for name in found if name != "row"} == {np.dtype(np.int8)}
        for name, labels in data.manifest["parts"][part]["labels"].items():
            counts[name] = {key: counts[name][key] + value for key, value in labels.items()}
    assert counts["click"] == {"labelled": ROWS, "positives": raw.clicked.sum()}
    assert counts["like"] == {"labelled": raw.stars.isin([2, 5]).sum(), "positives": (raw.stars == 5).sum()}


def test_the_first_label_makes_means_and_histories(data, place):
    alone = {name: value for name, value in SCHEMA.items() if name != "labels"} | {"label": "clicked"}
    (place / "alone.yaml").write_text(yaml.safe_dump(alone, sort_keys=False))
    expected = prepared(place, "alone.yaml")
    for part in ("train", "test"):
        for one, other in zip(data.parts(part), expected.parts(part), strict=True):
            names = pq.read_schema(other).names
            assert pq.read_table(one, columns=names).equals(pq.read_table(other))


def test_drawn_candidates_have_the_mean_of_the_first_label_whichever_is_learned(data):
    states = ItemStates(of_task(data, "order"))
    keys = read_columns(data, "train", ["item_group", "timestamp"])
    rows = len(keys["timestamp"])
    nothing = np.zeros((rows, states.layout.width), np.int32), np.zeros((rows, 1), np.float32)
    found = states.packed(keys["item_group"], keys["timestamp"], nothing)[1][:, 0]
    np.testing.assert_allclose(found, Batches(data, "train", 512).columns(["appeal"])["appeal"], atol=1e-5)


def test_drawn_negatives_are_negatives_of_every_task(place):
    found = prepared(place, negatives=1)
    columns = {name: [] for name in ("row", "label", "label_order", "label_like")}
    for part in ("train", "validation", "test"):
        for name, values in read_columns(found, part, list(columns)).items():
            columns[name].append(values)
    row, *labels = (np.concatenate(parts) for parts in columns.values())
    drawn = row % 2 == 1
    assert drawn.sum() > 1000
    assert all((values[drawn] == 0).all() for values in labels)
    np.testing.assert_array_equal(labels[1][~drawn], logs().bought.iloc[row[~drawn] // 2])


def test_metrics_are_of_each_task(both, data):
    options, result = both
    stored = json.loads((result.folder / "metrics.json").read_text())
    assert list(stored["tasks"]) == ["click", "order"]
    logits = predicted(result.model, Batches(data, "test", 512).dataset())
    found = read_columns(data, "test", ["label", "label_order"])
    for place, (task, column) in enumerate({"click": "label", "order": "label_order"}.items()):
        auc = roc_auc_score(found[column], logits[:, place])
        assert stored["tasks"][task]["test"]["auc"] == pytest.approx(auc, abs=1e-6)
        assert 0 < stored["tasks"][task]["test"]["gauc"] < 1
        assert stored["tasks"][task]["validation"]["rows"] == data.rows("validation")
        assert stored["tasks"][task]["calibration"]["map"]["kind"] == "temperature"
        assert np.std(logits[:, place]) > 1e-4, "equal logits would not be told apart"
    assert stored["test"] == pytest.approx(stored["tasks"]["order"]["test"], rel=1e-5)
    assert stored["calibration"] == stored["tasks"]["order"]["calibration"]
    kept = pq.read_table(result.folder / "predictions.parquet")["logit"].to_numpy()
    np.testing.assert_allclose(kept, logits[:, 1], rtol=0, atol=1e-5)
    assert (logits[:, 1] < logits[:, 0]).all()


def test_a_finished_run_is_found_and_read_again(both, data):
    options, result = both
    again = finished(options, data)
    logits = [predicted(one.model, Batches(data, "test", 512).dataset()) for one in (result, again)]
    np.testing.assert_allclose(*logits, rtol=0, atol=1e-6)
    taught = trained_model(result.folder, data.spec, "--teacher")
    np.testing.assert_allclose(predicted(taught, Batches(data, "test", 512).dataset()), logits[0], rtol=0, atol=1e-6)


def test_one_of_several_labels_can_be_learned_by_any_model(data, place):
    argv = ["--output_dir", str(place / "runs"), "--model_name", "target_means", "--tasks", "order"]
    result = train(parse(argv, program="train.py", description="Train."), data, lambda _: None)
    assert "tasks" not in result.metrics
    found = read_columns(of_task(data, "order"), "test", ["label_order"])["label_order"]
    assert result.metrics["test"]["rows"] == len(found)
    counted = of_task(data, "order").manifest["parts"]["test"]["positives"]
    assert counted == found.sum()


def test_rows_without_a_label_of_one_task_train_the_others(data, place):
    argv = ["--model_name", "dssm", "--tasks", "click,like", "--loss", "pairwise", "--candidates_per_row", "2"]
    result = train(config(place, *argv, "--epoch", "1"), data, lambda _: None)
    assert result.model.partly_labelled == ("like",)
    tasks = result.metrics["tasks"]
    assert tasks["click"]["test"]["rows"] == data.rows("test")
    assert tasks["like"]["test"]["rows"] == data.manifest["parts"]["test"]["labels"]["like"]["labelled"] > 0
    assert np.isfinite(tasks["like"]["test"]["logloss"])


def test_from_the_file_to_the_answer(both, place, capsys):
    """The finished run is exported."""
    pytest.importorskip("tf2onnx")
    argv = ["--model_name", "dssm", "--tasks", "click,order", "--rank_by", "order", "--esmm"]
    more = ["--calibrate", "temperature", "--schema", str(place / "schema.yaml"), "--export_format", "onnx"]
    where = ["--data_path", str(place / "rows.parquet"), "--prepared_dir", str(place / "prepared")]
    assert main(script.SOURCE, flags(place, *argv, *more, *where, "--export_dir", str(place / "out"))) == 0
    said = capsys.readouterr().out
    assert "so nothing is trained" in said
    assert "test, click " in said
    described = description.read(place / "out")
    stored = both[1].metrics["tasks"]
    for task in described["tasks"]:
        assert task["calibration"] == stored[task["name"]]["calibration"]["map"]
    assert described["calibration"] == stored["order"]["calibration"]["map"]
    assert pq.read_schema(place / "out" / "examples.parquet").names[-1] == "label_order"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--tasks", "buy"], "--tasks: the shop data have no label buy, but click, order, like"),
        (["--tasks", "click,order", "--model_name", "dcn_v2"], "--tasks: expected a two-tower model or cold"),
        (["--tasks", "click,order", "--entire_space"], "--entire_space takes one task"),
    ],
)
def test_what_cannot_be_learned_is_named(data, place, argv, message):
    with pytest.raises(InputError, match=message):
        train(config(place, "--model_name", "dssm", *argv), data, lambda _: None)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"label": "clicked"}, "label and labels: give one of both"),
        ({"labels": {}}, "labels"),
        ({"labels": {"Click": "clicked"}}, "labels"),
        ({"labels": {"click": {"column": "clicked", "positive": 3}}}, "there is no such key"),
    ],
)
def test_labels_that_a_schema_cannot_have(tmp_path, keys, message):
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump(SCHEMA | keys))
    with pytest.raises(InputError, match=message):
        schemas.load(tmp_path / "schema.yaml")


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("stars", "stars is null, and may not be missing"),
        ({"column": "stars", "optional": True}, "stars has to be 0 or 1, or the schema needs label.positive_from"),
    ],
)
def test_values_that_are_no_label_are_named(place, tmp_path, label, message):
    changed = SCHEMA | {"labels": {"click": "clicked", "like": label}}
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump(changed, sort_keys=False))
    given = OwnDataOptions(
        schema=tmp_path / "schema.yaml", data_path=place / "rows.parquet", prepared_dir=tmp_path / "prepared"
    )
    with pytest.raises(InputError, match=message):
        prepare(NoSchema(), given, lambda _: None)
