"""`prerank index --refresh_means`: means from counts and new rows, beside NumPy and beside preparing again."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from artefacts import VOCABULARIES, export_small, small_options, users, write_items
from support import SPEC, randomise

import models
from export.writer import export, target
from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from prerank import index_command
from prerank.artefact import Artefact
from prerank.command_line import main
from prerank.item_means import refreshed
from prerank.preranker import PreRanker

IDS = list(range(1, 120, 3))
G = SPEC["item_mean_rating"].default
PRIOR = 5


@pytest.fixture(autouse=True)
def _any_threads(monkeypatch):
    """A command limits the threads of its process, which this one has already used."""
    monkeypatch.setattr(index_command, "limit_threads", lambda: None)


def exported(name, place):
    """An export with counts of half of its items, its index with an attribute, and rows since."""
    random = np.random.default_rng(3)
    items = pq.read_table(write_items(place / "items.parquet", IDS)).to_pandas()
    items["bid"] = random.random(len(IDS))
    items.to_parquet(place / "items.parquet")
    counts = pd.DataFrame({"key": IDS[::2], "rows": random.integers(1, 50, len(IDS[::2]))})
    counts["positives"] = (counts["rows"] * random.random(len(counts))).astype(int)
    counts.to_parquet(place / "counts.parquet")
    model = models.build(name, SPEC, small_options(name), seed=0)
    randomise(model, 0)
    files = {"catalogue.parquet": place / "items.parquet", "item_counts.parquet": place / "counts.parquet"}
    export(model, VOCABULARIES, target(place / "out"), files)
    # item 2 is not in the index, and one row has no label
    since = pd.DataFrame({"movie_id": random.choice([*IDS[:20], 2], 200)})
    since["clicked"] = (random.random(200) < 0.4).astype(float)
    since.loc[7, "clicked"] = None
    since.to_parquet(place / "since.parquet")
    assert main(["index", "--model", str(place / "out"), "--attributes", "bid"]) == 0
    return items, counts.set_index("key"), since


@pytest.mark.parametrize("name", ["dssm", "fit"])
def test_the_index_is_that_of_a_catalogue_with_the_means_of_all_rows(name, tmp_path, capsys):
    items, counts, since = exported(name, tmp_path)
    refresh = ["--model", str(tmp_path / "out"), "--refresh_means", str(tmp_path / "since.parquet")]
    assert main(["index", *refresh, "--label", "clicked"]) == 0
    known = since.dropna()
    changed = sorted(set(known["movie_id"]) & set(IDS))
    said = f"{len(changed)} of {len(IDS)} items have a new item_mean_rating, from {len(known)} rows"
    assert said in capsys.readouterr().out
    for item in changed:
        of_item = known[known["movie_id"] == item]["clicked"]
        rows, positives = counts.loc[item] if item in counts.index else (0, 0)
        mean = (positives + of_item.sum() + PRIOR * G) / (rows + len(of_item) + PRIOR)
        items.loc[items["movie_id"] == item, "item_mean_rating"] = mean
    items.to_parquet(tmp_path / "expected.parquet")
    asked = ["--items", str(tmp_path / "expected.parquet"), "--out", str(tmp_path / "expected"), "--attributes", "bid"]
    assert main(["index", "--model", str(tmp_path / "out"), *asked]) == 0
    user = users(1)[0]
    found, expected = (PreRanker(tmp_path / "out", place).top(user, 100) for place in (None, tmp_path / "expected"))
    assert found.version == "v000002"
    assert found.ids.tolist() == expected.ids.tolist()
    np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-6)
    by_bid = PreRanker(tmp_path / "out").top(user, 100, value="bid").ids.tolist()
    assert by_bid == PreRanker(tmp_path / "out", tmp_path / "expected").top(user, 100, value="bid").ids.tolist()


def test_items_without_means_get_those_that_the_export_counts(tmp_path):
    items, counts, _ = exported("dssm", tmp_path)
    items.drop(columns="item_mean_rating").to_parquet(tmp_path / "without.parquet")
    means = [(counts["positives"].get(key, 0) + PRIOR * G) / (counts["rows"].get(key, 0) + PRIOR) for key in IDS]
    items.assign(item_mean_rating=means).to_parquet(tmp_path / "with.parquet")
    user, found = users(1)[0], []
    for name in ("without", "with"):
        asked = ["--items", str(tmp_path / f"{name}.parquet"), "--out", str(tmp_path / name)]
        assert main(["index", "--model", str(tmp_path / "out"), *asked]) == 0
        found.append(PreRanker(tmp_path / "out", tmp_path / name).top(user, 100))
    assert found[0].ids.tolist() == found[1].ids.tolist()
    np.testing.assert_allclose(found[0].scores, found[1].scores, rtol=0, atol=1e-6)


def test_the_same_rows_again_are_not_counted_twice(tmp_path):
    exported("dssm", tmp_path)
    user = users(1)[0]
    before = PreRanker(tmp_path / "out").top(user, 100)
    asked = ["index", "--model", str(tmp_path / "out"), "--refresh_means", str(tmp_path / "since.parquet")]
    found = []
    for _ in range(2):
        assert main([*asked, "--label", "clicked"]) == 0
        found.append(PreRanker(tmp_path / "out").top(user, 100))
    assert found[0].ids.tolist() == found[1].ids.tolist()
    np.testing.assert_array_equal(found[0].scores, found[1].scores)
    assert before.scores.tolist() != found[0].scores.tolist()


def test_counts_are_those_of_preparing_all_rows_at_once(tmp_path):
    random = np.random.default_rng(2)
    rows = pd.DataFrame({"user": random.integers(0, 9, 400), "item": random.integers(0, 15, 400)})
    rows["label"] = (random.random(400) < 0.3).astype(int)
    rows["at"] = np.arange(400) * 60
    schema = {
        "dataset": "shop", "user_id": "user", "item_id": "item", "label": "label", "time": "at", "item_mean": "mean",
        "fields": {"user": {"side": "user", "type": "int64"}, "item": {"side": "item", "type": "int64"}},
    }  # fmt: skip
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(schema))

    def prepared(chosen, name):
        chosen.to_parquet(tmp_path / name)
        places = {"schema": tmp_path / "shop.yaml", "data_path": tmp_path / name, "prepared_dir": tmp_path / "out"}
        return prepare(NoSchema(), OwnDataOptions(**places, save_state="all"), lambda _: None)

    first, both = prepared(rows[:250], "first.parquet"), prepared(rows, "both.parquet")
    model = models.build("dssm", first.spec, {"embedding_dim": 4, "hidden_units": (4,)})
    vocabularies = {name: first.vocabulary(name) for name in first.spec.tables}
    export(model, vocabularies, target(tmp_path / "model"), {"item_counts.parquet": first.item_counts})
    rows[250:].to_parquet(tmp_path / "since.parquet")
    found = refreshed(Artefact(tmp_path / "model"), tmp_path / "since.parquet")
    counts = pd.read_parquet(both.item_counts).set_index("key").loc[found.ids]
    g = first.manifest["training_mean_label"]
    assert found.rows == 150
    expected = (counts["positives"] + PRIOR * g) / (counts["rows"] + PRIOR)
    np.testing.assert_allclose(found.means, expected, rtol=0, atol=1e-12)


def test_what_is_missing_is_said(tmp_path, capsys):
    export_small("dssm", tmp_path / "out", 0, write_items(tmp_path / "items.parquet", IDS))
    assert main(["index", "--model", str(tmp_path / "out")]) == 0
    pq.write_table(pa.table({"movie_id": IDS, "label": [0, 1] * 20}), tmp_path / "rows.parquet")
    refresh = ["index", "--model", str(tmp_path / "out"), "--refresh_means", str(tmp_path / "rows.parquet")]
    assert main(refresh) == 2
    assert "--refresh_means needs item_counts.parquet in the export" in capsys.readouterr().err
    assert main([*refresh, "--update"]) == 2
    assert "--update: cannot be given with --refresh_means" in capsys.readouterr().err
    assert main(["index", "--model", str(tmp_path / "out"), "--label", "x"]) == 2
    assert "--label needs --refresh_means" in capsys.readouterr().err
    (tmp_path / "counted").mkdir()
    exported("dssm", tmp_path / "counted")
    capsys.readouterr()
    for table, message in (
        ({"movie_id": IDS}, "column 'label' is missing"),
        ({"movie_id": IDS, "label": [2] * 40}, "label: expected 0 and 1 only. Received: 2"),
        ({"movie_id": [None, *IDS[1:]], "label": [1] * 40}, "movie_id is missing"),
        ({"movie_id": IDS, "label": [None] * 40}, "there are no rows with a label"),
        ({"movie_id": [2], "label": [1]}, "no item of the index has both"),
    ):
        pq.write_table(pa.table(table), tmp_path / "rows.parquet")
        asked = ["--model", str(tmp_path / "counted" / "out"), "--refresh_means", str(tmp_path / "rows.parquet")]
        before = sorted(path.name for path in (tmp_path / "counted" / "out" / "index").iterdir())
        assert main(["index", *asked]) == 2
        assert message in capsys.readouterr().err
        assert sorted(path.name for path in (tmp_path / "counted" / "out" / "index").iterdir()) == before
