"""`prerank evaluate`, `compare` and `predict` on rows in raw spelling, against computations by hand."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from artefacts import VOCABULARIES, export_small, users
from sklearn.metrics import log_loss, roc_auc_score

from prerank.artefact import Artefact
from prerank.command_line import main
from prerank.errors import InputError
from prerank.evaluation import drift, metrics
from prerank.evaluation.gates import failures, gates
from prerank.evaluation.rows import read_rows

ROWS = 900


def write_rows(path, seed=0, **changed):
    """Labelled rows of some users and items, by columns; a label follows the item's mean."""
    random = np.random.default_rng(seed)
    chosen = [users(40, seed=3)[number] for number in random.integers(0, 40, ROWS)]
    means = random.random(ROWS)
    table = {
        "user_id": [user["user_id"] for user in chosen],
        "gender": [user["gender"] for user in chosen],
        "age": [user["age"] for user in chosen],
        "user_mean_rating": [user.get("user_mean_rating") for user in chosen],
        "user_hist": pa.array([user["user_hist"] for user in chosen], pa.list_(pa.int64())),
        "movie_id": random.choice([*VOCABULARIES["movie_id"], 9999], ROWS),
        "genres": [random.choice(["Action", "War", "?"], 2).tolist() for _ in range(ROWS)],
        "item_mean_rating": means,
        "label": (random.random(ROWS) < means).astype(int),
        "device": random.choice(["phone", "desktop", None], ROWS).tolist(),
        "importance": random.integers(0, 3, ROWS).astype(float),
    }
    pq.write_table(
        pa.table({name: values for name, values in {**table, **changed}.items() if values is not None}), path
    )
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return [
        export_small("lr", folder / "a", seed=1, export_format="onnx"),
        export_small("dssm", folder / "b", seed=2, export_format="onnx"),
    ]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("rows") / "rows.parquet")


@pytest.fixture(scope="module")
def predicted(models, rows, tmp_path_factory):
    """Labels and the outputs of the first model, by `prerank predict`."""
    out = tmp_path_factory.mktemp("predicted") / "scores.parquet"
    flags = ["--model", str(models[0]), "--rows", str(rows), "--out", str(out), "--columns", "label,device"]
    assert main(["predict", *flags]) == 0
    return pq.read_table(out).to_pandas()


def evaluate(models, rows, capsys, *flags):
    code = main(["evaluate", "--model", str(models[0]), "--rows", str(rows), "--format", "json", *flags])
    captured = capsys.readouterr()
    return code, json.loads(captured.out) if captured.out else None, captured.err


def test_predict_gives_what_the_model_says(models, rows, predicted):
    artefact = Artefact(models[0])
    names = [field["name"] for field in artefact.inputs()]
    found = read_rows(artefact, rows)
    user = {field["name"] for field in artefact.inputs("user")}
    assert (len(found), "gender" in user) == (ROWS, True)
    assert list(predicted.columns) == ["label", "device", "logit", "probability"]
    first = pq.read_table(rows).slice(0, 1).to_pydict()
    raw = [
        np.array([first[name][0] or []], np.int64).reshape(1, -1) if name == "user_hist"
        else np.array(first[name]) if name != "user_mean_rating" else np.array([first[name][0] or np.nan], np.float32)
        for name in names
    ]  # fmt: skip
    logit = artefact.signature("serving_default", names)(raw)["logit"]
    np.testing.assert_allclose(predicted["logit"][:1], logit, rtol=0, atol=1e-5)
    np.testing.assert_allclose(predicted["probability"], 1 / (1 + np.exp(-predicted["logit"])), rtol=0, atol=1e-6)


def test_metrics_are_those_of_scikit_learn(models, rows, predicted, capsys):
    code, found, error = evaluate(models, rows, capsys, "--by", "device")
    assert (code, error) == (0, "")
    labels, p = predicted["label"], predicted["probability"]
    assert found["all"]["auc"] == pytest.approx(roc_auc_score(labels, predicted["logit"]))
    assert found["all"]["logloss"] == pytest.approx(log_loss(labels, p), abs=1e-6)
    assert found["all"]["pcoc"] == pytest.approx(p.sum() / labels.sum(), rel=1e-5)
    assert (found["all"]["rows"], found["all"]["positives"]) == (ROWS, labels.sum())
    of_phone = predicted[predicted["device"] == "phone"]
    assert found["slices"]["device=phone"]["rows"] == len(of_phone)
    assert found["slices"]["device=phone"]["auc"] == pytest.approx(roc_auc_score(of_phone["label"], of_phone["logit"]))
    assert found["slices"]["device=(missing)"]["rows"] == predicted["device"].isna().sum()
    bins = found["reliability"]
    assert [one["rows"] for one in bins] == [90] * 10
    lowest = predicted.nsmallest(90, "probability")
    assert bins[0]["probability"] == pytest.approx(lowest["probability"].mean(), rel=1e-5)


def test_files_of_a_folder_may_spell_a_column_in_types_that_do_not_join(models, tmp_path, capsys):
    """As in training and for items: ids as integers in one file, and as texts in the next."""
    folder = tmp_path / "rows"
    folder.mkdir()
    whole = pq.read_table(write_rows(tmp_path / "rows.parquet"))
    whole = whole.append_column("slot", pa.array(np.arange(ROWS) // 300))
    first, second = whole.slice(0, 600), whole.slice(600)
    for name in ("user_id", "age", "label", "slot"):
        texts = second[name].cast(pa.string())
        second = second.set_column(second.column_names.index(name), name, texts)
    pq.write_table(whole, tmp_path / "rows.parquet")
    pq.write_table(first, folder / "1.parquet")
    pq.write_table(second, folder / "2.parquet")
    code, found, _ = evaluate(models, folder, capsys, "--by", "slot,age")
    _, expected, _ = evaluate(models, tmp_path / "rows.parquet", capsys, "--by", "slot,age")
    assert code == 0
    assert found["all"] == expected["all"]
    assert found["slices"] == expected["slices"]
    assert {"slot=0", "slot=2", "age=10"} <= set(found["slices"])
    out = tmp_path / "out.parquet"
    flags = ["--rows", str(folder), "--out", str(out), "--columns", "user_id"]
    assert main(["predict", "--model", str(models[0]), *flags]) == 0
    assert pq.read_table(out)["user_id"].to_pylist() == whole["user_id"].to_pylist()


def test_rows_are_counted_with_those_that_have_no_label(models, tmp_path, capsys):
    path = write_rows(tmp_path / "rows.parquet")
    table = pq.read_table(path)
    labels = [None] * 500 + table["label"].to_pylist()[500:]
    ages = [str(age) for age in table["age"].to_pylist()]
    ages[700] = "old"
    for name, values in (("label", labels), ("age", ages)):
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    pq.write_table(table, path)
    code, _, error = evaluate(models, path, capsys)
    assert code == 2
    assert "rows.parquet, row 701: age has to be an integer. Received: 'old'" in error
    ages[700] = "20"
    labels[800] = "yes"
    table = table.set_column(table.column_names.index("age"), "age", pa.array(ages))
    labels = [None if label is None else str(label) for label in labels]
    pq.write_table(table.set_column(table.column_names.index("label"), "label", pa.array(labels)), path)
    code, _, error = evaluate(models, path, capsys)
    assert (code, "row 801: label has to be a number. Received: 'yes'" in error) == (2, True)


def test_rows_of_a_long_file_are_counted_from_its_beginning(models, tmp_path, capsys):
    table = pa.concat_tables([pq.read_table(write_rows(tmp_path / "rows.parquet"))] * 75)
    ages = [str(age) for age in table["age"].to_pylist()]
    ages[66_000] = "old"
    pq.write_table(table.set_column(table.column_names.index("age"), "age", pa.array(ages)), tmp_path / "rows.parquet")
    flags = ["--rows", str(tmp_path / "rows.parquet"), "--out", str(tmp_path / "out.parquet")]
    assert main(["predict", "--model", str(models[0]), *flags]) == 2
    assert "rows.parquet, row 66001: age has to be an integer" in capsys.readouterr().err


def test_weights_count(models, rows, predicted, capsys):
    weights = pq.read_table(rows)["importance"].to_numpy()
    found = evaluate(models, rows, capsys, "--weight", "importance")[1]["all"]
    labels = predicted["label"]
    assert found["auc"] == pytest.approx(roc_auc_score(labels, predicted["logit"], sample_weight=weights))
    assert found["pcoc"] == pytest.approx(
        (predicted["probability"] * weights).sum() / (labels * weights).sum(), rel=1e-5
    )


def test_a_missing_weight_is_one(models, tmp_path, capsys):
    weights = [None if row % 3 == 0 else 0.5 for row in range(ROWS)]
    named = [
        evaluate(models, write_rows(tmp_path / f"{place}.parquet", importance=values), capsys, "--weight", "importance")
        for place, values in enumerate((weights, [1.0 if value is None else value for value in weights]))
    ]
    assert named[0][1]["all"] == named[1][1]["all"]


def test_what_training_never_saw_is_counted(models, rows, capsys):
    found = evaluate(models, rows, capsys)[1]
    movies = pq.read_table(rows)["movie_id"].to_numpy()
    unseen = ~np.isin(movies, VOCABULARIES["movie_id"])
    assert found["fields"]["movie_id"]["unseen"] == pytest.approx(unseen.mean())
    assert found["slices"]["unseen items"]["rows"] == unseen.sum()
    assert found["slices"]["seen items"]["rows"] == ROWS - unseen.sum()
    genders = pq.read_table(rows)["gender"].to_pylist()
    assert found["fields"]["gender"]["missing"] == pytest.approx(genders.count(None) / ROWS)
    assert found["fields"]["gender"]["unseen"] == pytest.approx(genders.count("?") / ROWS)
    assert found["fields"]["age"]["psi"] is None


def test_drift_shows_what_has_changed_and_nothing_else(models, rows, tmp_path, capsys):
    changed = write_rows(tmp_path / "new.parquet", gender=["M"] * ROWS, item_mean_rating=np.full(ROWS, 0.99))
    found = evaluate(models, changed, capsys, "--reference", str(rows))[1]["fields"]
    assert {name for name, one in found.items() if one["psi"] > 0.25} == {"gender", "item_mean_rating"}
    assert max(one["psi"] for name, one in found.items() if name not in ("gender", "item_mean_rating")) < 1e-9


def test_psi_by_hand():
    before, now = np.array([9.5, 89.5]), np.array([49.5, 49.5])  # half a row is added to each
    expected = (0.5 - 0.1) * np.log(0.5 / 0.1) + (0.5 - 0.9) * np.log(0.5 / 0.9)
    assert drift.psi(before, now) == pytest.approx(expected)
    assert drift.psi(before, before) == 0


def test_a_gate_decides_the_exit_code(models, rows, predicted, capsys):
    auc = roc_auc_score(predicted["label"], predicted["logit"])
    assert evaluate(models, rows, capsys, "--fail_below", f"auc={auc - 0.01:.3f}")[0] == 0
    code, found, error = evaluate(
        models, rows, capsys, "--fail_below", "auc=0.99,rows=10", "--fail_above", "ece=0.0001"
    )
    assert code == 1
    assert found["all"]["auc"] == pytest.approx(auc)
    lines = error.splitlines()
    assert lines[0] == f"failed: auc {auc:.4f} is below 0.99"
    assert lines[1].startswith("failed: ece ")
    assert len(lines) == 2
    code, found, error = evaluate(models, rows, capsys, "--fail_below", "acu=0.7")
    assert (code, found) == (2, None)
    assert "--fail_below: there is no metric 'acu', choose of auc, logloss" in error
    assert failures({"auc": float("nan")}, gates("auc=0.5"), {}) == ["auc has no value"]
    with pytest.raises(InputError, match="expected METRIC=NUMBER"):
        gates("auc")


def test_the_page_and_the_table_show_the_same_numbers(models, rows, tmp_path, capsys):
    page = tmp_path / "page.html"
    flags = ["evaluate", "--model", str(models[0]), "--rows", str(rows), "--by", "device", "--html", str(page)]
    assert main(flags) == 0
    table = capsys.readouterr().out
    auc = f"{metrics.auc(*_labels_and_logits(models[0], rows, tmp_path)):.4f}"
    assert auc in table
    text = page.read_text()
    assert f"<td>{auc}" in text
    assert "device=phone" in text
    assert "<script" not in text
    assert "<polyline" in text


def _labels_and_logits(model, rows, folder):
    out = folder / "again.parquet"
    main(["predict", "--model", str(model), "--rows", str(rows), "--out", str(out), "--columns", "label"])
    found = pq.read_table(out)
    return np.asarray(found["label"]), np.asarray(found["logit"])


def test_two_models_are_compared_on_the_same_draws(models, rows, capsys, tmp_path):
    flags = ["compare", "--model", str(models[0]), "--with", str(models[1]), "--rows", str(rows), "--by", "device"]
    assert main([*flags, "--format", "json", "--resamples", "60"]) == 0
    found = json.loads(capsys.readouterr().out)
    aucs = [roc_auc_score(*_labels_and_logits(model, rows, tmp_path)) for model in models]
    capsys.readouterr()
    one = found["all rows"]["auc"]
    assert (one["first"], one["second"]) == (pytest.approx(aucs[0]), pytest.approx(aucs[1]))
    assert one["difference"] == pytest.approx(aucs[1] - aucs[0])
    low, high = one["interval"]
    assert low < one["difference"] < high
    assert 0.01 < high - low < 0.5
    assert found["device=phone"]["rows"] < ROWS
    same = [*flags[:3], "--with", str(models[0]), *flags[5:], "--format", "json", "--resamples", "5"]
    assert main(same) == 0
    assert json.loads(capsys.readouterr().out)["all rows"]["auc"]["interval"] == [0, 0]
    assert main([*flags, "--resamples", "5"]) == 0
    assert f"{aucs[0]:.5f}" in capsys.readouterr().out


def test_a_column_with_a_default_may_lack(models, tmp_path, capsys):
    bare = write_rows(tmp_path / "bare.parquet", user_hist=None, user_mean_rating=None)
    code, found, error = evaluate(models, bare, capsys)
    assert (code, found["defaults"]) == (0, ["user_mean_rating", "user_hist"])
    assert "not in the file, so defaults count: user_mean_rating, user_hist" in error


@pytest.mark.parametrize(
    ("changed", "flags", "message"),
    [
        ({"age": None}, [], "column 'age' is missing"),
        ({"label": None}, [], "column 'label' is missing"),
        ({"label": [0.5] * ROWS}, [], "column 'label': expected 0 and 1 only. Received: 0.5"),
        ({"label": pa.nulls(ROWS, pa.int64())}, [], "there are no rows with a label"),
        ({"age": ["old"] * ROWS}, [], "row 1: age has to be an integer. Received: 'old'"),
        ({}, ["--by", "colour"], "--by: there is no column 'colour'"),
        ({}, ["--by", "genres"], "--by: the column 'genres' holds lists"),
        (
            {"importance": [-1.0] * ROWS},
            ["--weight", "importance"],
            "column 'importance': expected numbers of 0 or more",
        ),
        ({}, ["--label", "clicked"], "column 'clicked' is missing"),
    ],
)
def test_wrong_rows_end_with_one_line(changed, flags, message, models, tmp_path, capsys):
    path = write_rows(tmp_path / "wrong.parquet", **changed)
    code, found, error = evaluate(models, path, capsys, *flags)
    assert (code, found) == (2, None)
    assert message in error
    assert len(error.splitlines()) == 1


def test_predict_writes_a_whole_file_or_none(models, rows, tmp_path, capsys):
    out = tmp_path / "scores.parquet"
    out.write_text("before")
    wrong = write_rows(tmp_path / "wrong.parquet", age=["old"] * ROWS)
    base = ["predict", "--model", str(models[0]), "--out", str(out)]
    assert main([*base, "--rows", str(wrong)]) == 2
    assert main([*base, "--rows", str(rows), "--columns", "colour"]) == 2
    assert "--columns: there is no column 'colour'" in capsys.readouterr().err
    assert out.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert main([*base, "--rows", str(rows)]) == 0
    assert pq.read_table(out).num_rows == ROWS
