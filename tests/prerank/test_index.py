"""The item index: versions, updates, storage types, and writers that are killed."""

import json
import math
import os
import shutil
import subprocess
import sys

import kills
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from artefacts import export_small, saved_model_scores, users, write_items

from prerank import build_index, index, index_command
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.command_line import main
from prerank.errors import ArtefactError, InputError
from prerank.preranker import PreRanker

IDS = list(range(1, 120, 3))
MODELS = ["hit", "fit"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An exported model by name, exported once."""
    made = {}

    def get(name, seed=0):
        if (name, seed) not in made:
            place = tmp_path_factory.mktemp(name) / "out"
            made[name, seed] = Artefact(
                export_small(name, place, seed, write_items(place.parent / "items.parquet", IDS))
            )
        return made[name, seed]

    return get


def scores(model, folder):
    best = PreRanker(model.folder, folder).top(users(1)[0], 1000)
    return dict(zip(best.ids.tolist(), best.scores.tolist(), strict=True))


def assert_same(found, expected, atol=1e-4):
    assert sorted(found) == sorted(expected)
    np.testing.assert_allclose([found[key] for key in expected], list(expected.values()), rtol=0, atol=atol)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_update_replaces_some_items_adds_others_and_keeps_the_rest(name, dtype, model, tmp_path):
    out = tmp_path / "index"
    artefact, user = model(name), users(1)[0]
    first = write_items(tmp_path / "first.parquet", IDS)
    changes = write_items(tmp_path / "changes.parquet", [IDS[3], 500, IDS[20], 2], seed=1)
    build(artefact, first, out, dtype)
    before = scores(artefact, out)
    built = build(artefact, changes, out, update=True)
    assert built.states.dtype == dtype
    changed = saved_model_scores(artefact, user, changes)
    atol = 1e-4 if dtype == "float32" else 0.2
    assert_same(scores(artefact, out), {**before, **changed}, atol)
    assert max(abs(before[key] - changed[key]) for key in (IDS[3], IDS[20])) > 1e-3
    if dtype == "float32":
        whole = saved_model_scores(artefact, user, first)
        assert_same(scores(artefact, out), {**whole, **changed})


@pytest.mark.parametrize("batch", [1, 7, len(IDS) - 1, len(IDS)])
def test_items_of_every_batch_are_encoded(batch, model, tmp_path, monkeypatch):
    """Whatever the size of a batch, the last item of each one included."""
    items, artefact = write_items(tmp_path / "items.parquet", IDS), model("hit")
    monkeypatch.setattr(build_index, "_BATCH", batch)
    states = build(artefact, items, tmp_path / "index").states
    assert states.ids.tolist() == IDS
    assert {array.values.shape[1] for array in states.arrays.values()} == {len(IDS)}
    assert_same(scores(artefact, tmp_path / "index"), saved_model_scores(artefact, users(1)[0], items))


def test_update_needs_an_index_of_the_same_type(model, tmp_path):
    items = write_items(tmp_path / "items.parquet", IDS)
    with pytest.raises(ArtefactError, match="no item index"):
        build(model("hit"), items, tmp_path / "index", update=True)
    build(model("hit"), items, tmp_path / "index")
    with pytest.raises(InputError, match="--dtype int8: the index is of float32"):
        build(model("hit"), items, tmp_path / "index", "int8", update=True)


@pytest.mark.parametrize("name", MODELS)
def test_fewer_bytes_change_little(name, model, tmp_path):
    items = write_items(tmp_path / "items.parquet", IDS)
    sizes = {}
    for dtype, atol in (("float32", 1e-4), ("float16", 0.02), ("int8", 0.2)):
        sizes[dtype] = build(model(name), items, tmp_path / dtype, dtype).states.bytes_per_item
        found = scores(model(name), tmp_path / dtype)
        assert_same(found, saved_model_scores(model(name), users(1)[0], items), atol)
    assert sizes["int8"] <= sizes["float16"] < sizes["float32"]  # heads of 4 bytes, each with a scale of 4


def test_index_of_another_model_is_refused(model, tmp_path):
    items = write_items(tmp_path / "items.parquet", IDS)
    build(model("hit"), items, tmp_path / "index")
    other = model("hit", 1)
    with pytest.raises(
        ArtefactError, match=r"manifest.json: .* another model, or the model's files have changed since"
    ):
        PreRanker(other.folder, tmp_path / "index")
    with pytest.raises(ArtefactError, match="another model"):
        build(other, items, tmp_path / "index", update=True)
    build(other, items, tmp_path / "index")
    assert PreRanker(other.folder, tmp_path / "index").version == "v000002"


def test_a_killed_writer_leaves_a_whole_index(model, tmp_path):
    """Killed in making the first version or a later one, it leaves nothing, the old or the new one; then it is made."""
    items, root, artefact = write_items(tmp_path / "items.parquet", IDS), tmp_path / "root", model("hit")
    out = root / "index"
    new = build(artefact, items, tmp_path / "other").states
    old = index.ItemStates(
        new.ids[:7], {name: array.take(np.arange(7)) for name, array in new.arrays.items()}, "float32"
    )

    def publish(states):
        with index.writing(out):
            index.publish(out, states, {"fingerprint": artefact.fingerprint})

    for first in (None, old):

        def prepare(first=first):
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()
            if first is not None:
                publish(first)

        prepare()
        publish(new)
        undisturbed = kills.snapshot(out / index.current(out))
        assert sorted(os.listdir(out)) == ["CURRENT", "v000002" if first else "v000001"]
        seen = set()
        for _ in kills.killed(lambda: publish(new), root, prepare):
            whole = (out / "CURRENT").exists()
            seen.add(len(index.read(out, artefact.fingerprint)[1].ids) if whole else 0)
            kills.done(lambda: publish(new), root)
            assert sorted(os.listdir(out)) == ["CURRENT", index.current(out)]
            assert kills.snapshot(out / index.current(out)) == undisturbed
        assert seen == {7 if first else 0, len(IDS)}


def test_a_mapped_version_outlives_its_files(model, tmp_path):
    items, user = write_items(tmp_path / "items.parquet", IDS), users(1)[0]
    build(model("hit"), items, tmp_path / "index")
    ranker = PreRanker(model("hit").folder, tmp_path / "index", watch=False)
    before = ranker.top(user, 10)
    build(model("hit"), write_items(tmp_path / "items.parquet", IDS, seed=5), tmp_path / "index")
    assert not (tmp_path / "index" / before.version).exists()
    after = ranker.top(user, 10)
    assert after.version == before.version
    assert np.array_equal(after.scores, before.scores)
    assert ranker.reload() == "v000002"
    assert not np.array_equal(ranker.top(user, 10).scores, before.scores)


def test_two_writers_do_not_meet(model, tmp_path):
    items = write_items(tmp_path / "items.parquet", IDS)
    with index.writing(tmp_path / "index"), pytest.raises(InputError, match="another process is writing"):
        build(model("hit"), items, tmp_path / "index")


def with_mean(table, number):
    means = table["item_mean_rating"].to_pylist()
    return table.set_column(2, "item_mean_rating", pa.array([means[0], number, *means[2:]], pa.float64()))


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda table: table.drop_columns("genres"), "column 'genres' is missing"),
        (lambda table: table.set_column(0, "movie_id", [["a"] * len(table)]), "row 1: movie_id has to be an integer"),
        (lambda table: table.set_column(0, "movie_id", [[None] * len(table)]), "row 1: movie_id is missing"),
        (lambda table: table.set_column(0, "movie_id", [[4] * len(table)]), "two rows have the id 4"),
        (lambda table: table.slice(0, 0), "there are no items"),
        (lambda table: with_mean(table, math.inf), "row 2: item_mean_rating has to be a finite number of 32 bits"),
        (lambda table: with_mean(table, 1e300), "row 2: item_mean_rating has to be a finite number of 32 bits"),
    ],
)
def test_wrong_items_are_named(damage, message, model, tmp_path):
    path = write_items(tmp_path / "items.parquet", IDS)
    pq.write_table(damage(pq.read_table(path)), path)
    with pytest.raises(InputError, match=message) as error:
        build(model("hit"), path, tmp_path / "index")
    assert str(path) in str(error.value)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_an_item_whose_state_is_not_finite_is_named(model, tmp_path, monkeypatch):
    artefact, items = model("hit"), write_items(tmp_path / "items.parquet", IDS)
    tower = artefact.item_tower

    def overflowing(values):
        states = {name: part.copy() for name, part in tower(values).items()}
        for part in states.values():
            part[3] = math.inf
        return states

    monkeypatch.setitem(artefact.__dict__, "item_tower", overflowing)
    with pytest.raises(InputError, match=f"items.parquet: the item {IDS[3]}: its state is not finite"):
        build(artefact, items, tmp_path / "index")


def test_command_line_builds_updates_and_compares(model, tmp_path):
    folder = model("fit").folder
    rows = [
        {**user, "gender": user["gender"] or "", "movie_id": IDS[n % len(IDS)], "label": n % 2}
        for n, user in enumerate(users(30))
    ]
    table = {name: [row.get(name) for row in rows] for name in rows[0]}
    pq.write_table(pa.table(table), tmp_path / "rows.parquet")

    command = [sys.executable, "-m", "prerank", "index", "--model", folder, "--out", tmp_path / "index"]
    flags = ["--dtype", "int8", "--evaluate", tmp_path / "rows.parquet"]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(IDS)} items, int8" in done.stdout
    assert "rows.parquet: AUC 0." in done.stdout
    assert "agree on average" in done.stdout
    manifest = json.loads((tmp_path / "index" / "v000001" / "manifest.json").read_text())
    assert manifest["arrays"]["heads"]["dtype"] == "int8"


def call(monkeypatch, capsys, *flags):
    """Exit code and the two outputs of `prerank index`."""
    monkeypatch.setattr(index_command, "limit_threads", lambda: None)
    code = main(["index", *map(str, flags)])
    return code, *capsys.readouterr()


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_rows_that_cannot_be_compared_on_leave_the_index(dtype, model, tmp_path, monkeypatch, capsys):
    items, out = write_items(tmp_path / "items.parquet", IDS), tmp_path / "index"
    build(model("hit"), items, out)
    flags = ["--model", model("hit").folder, "--out", out, "--dtype", dtype, "--evaluate"]
    for rows, message in (("nope.parquet", "cannot be read"), ("items.parquet", "column 'user_id' is missing")):
        code, _, error = call(monkeypatch, capsys, *flags, tmp_path / rows)
        assert code == 2
        assert rows in error
        assert message in error
        assert index.current(out) == "v000001"


def test_float32_and_another_models_index_are_spoken_of(model, tmp_path, monkeypatch, capsys):
    out, rows = tmp_path / "index", tmp_path / "rows.parquet"
    build(model("fit"), write_items(tmp_path / "items.parquet", IDS), out)
    pq.write_table(pa.Table.from_pylist(users(2)), rows)
    code, shown, _ = call(monkeypatch, capsys, "--model", model("hit").folder, "--out", out, "--evaluate", rows)
    assert code == 0
    assert "index: held an index of the model fit, which this one of hit replaces" in shown
    assert "nothing to compare with float32" in shown
    assert "held" not in call(monkeypatch, capsys, "--model", model("hit").folder, "--out", out)[1]
