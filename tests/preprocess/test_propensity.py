"""Weights against position bias: by hand, and on clicks whose truth is planted."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from preprocess import schema as schemas
from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from prerank.errors import InputError

SCHEMA = {
    "dataset": "list",
    "user_id": "who",
    "item_id": "what",
    "label": "clicked",
    "time": "at",
    "fields": {"who": {"side": "user", "type": "int64"}, "what": {"side": "item", "type": "int64"}},
}
LOOKED_AT = np.array([1.0, 0.5, 0.25, 0.1])
ITEMS = 12


def clicks(rows, by_chance, seed=0):
    """Clicks on items that a policy shows far up if they are bad, or anywhere; and how good each item is."""
    random = np.random.default_rng(seed)
    good = np.linspace(0.05, 0.6, ITEMS)
    what = random.integers(0, ITEMS, rows)
    chosen = random.integers(0, 4, rows)
    place = chosen if by_chance else np.clip(what * 4 // ITEMS + random.integers(-1, 2, rows), 0, 3)
    clicked = random.random(rows) < LOOKED_AT[place] * good[what]
    table = {"who": random.integers(0, 50, rows), "what": what, "clicked": clicked.astype(int), "place": place + 1}
    return pd.DataFrame(table | {"at": 1_790_000_000 + np.arange(rows)}), good


def prepared(folder, table, position, **keys):
    table.to_parquet(folder / "rows.parquet")
    (folder / "schema.yaml").write_text(yaml.safe_dump(SCHEMA | {"position": position} | keys, sort_keys=False))
    options = OwnDataOptions(
        schema=folder / "schema.yaml", data_path=folder / "rows.parquet", prepared_dir=folder / "prepared"
    )
    return prepare(NoSchema(), options, lambda _: None)


def weights(data):
    """By the number of the raw row."""
    files = [file for part in ("train", "validation", "test") for file in data.parts(part)]
    found = pd.concat([pd.read_parquet(file, columns=["row", "weight"]) for file in files])
    return found.sort_values("row").weight.to_numpy()


def test_a_positive_weighs_the_inverse_of_its_places_propensity(tmp_path):
    table, _ = clicks(600, by_chance=True)
    table["counts"] = np.where(np.arange(600) % 5 == 0, 3.0, np.nan)
    table["place"] = table.place.astype("Int64").mask(np.arange(600) % 7 == 0)
    position = {"column": "place", "propensity": [1.0, 0.5, 0.01], "largest_weight": 20}
    data = prepared(tmp_path, table, position, weight="counts")
    inverse = {1: 1.0, 2: 2.0, 3: 20.0, 4: 20.0}
    expected = [
        (1.0 if np.isnan(counts) else counts) * (inverse[int(place)] if clicked and not pd.isna(place) else 1.0)
        for counts, clicked, place in zip(table.counts, table.clicked, table.place, strict=True)
    ]
    np.testing.assert_allclose(weights(data), expected, rtol=1e-6)
    assert data.spec.row_columns == ("weight",)
    stored = json.loads((data.path / "manifest.json").read_text())
    assert stored["propensity"] == {"1": 1.0, "2": 0.5, "3": 0.01, "4": 0.01}


def test_propensities_are_estimated_where_places_are_by_chance(tmp_path):
    table, _ = clicks(60_000, by_chance=True)
    found = prepared(tmp_path, table, "place").manifest["propensity"]
    np.testing.assert_allclose([found[str(place)] for place in (1, 2, 3, 4)], LOOKED_AT, atol=0.02)
    of_training = table.iloc[:48_000]
    shares = of_training.groupby("place").clicked.mean()
    np.testing.assert_allclose(list(found.values()), shares / shares.max(), rtol=1e-12)


def test_weights_bring_back_what_is_good(tmp_path):
    """The policy hides what is good, so that plain shares of clicks have it the wrong way round."""
    table, good = clicks(60_000, by_chance=False)
    data = prepared(tmp_path, table, {"column": "place", "propensity": LOOKED_AT.tolist()})
    weighted = table.assign(value=weights(data) * table.clicked).groupby("what").value.mean()
    np.testing.assert_allclose(weighted, good, atol=0.06)
    assert (np.diff(weighted.iloc[::2]) > 0).all()
    plain = table.groupby("what").clicked.mean()
    assert plain.iloc[-1] < plain.iloc[3], "the weights would not be needed"


def test_rows_of_a_schema_without_places_stay_as_they_are(tmp_path):
    table, _ = clicks(600, by_chance=True)
    table.to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump(SCHEMA))
    options = OwnDataOptions(
        schema=tmp_path / "schema.yaml", data_path=tmp_path / "rows.parquet", prepared_dir=tmp_path / "out"
    )
    data = prepare(NoSchema(), options, lambda _: None)
    assert data.spec.row_columns == ()
    assert "propensity" not in data.manifest
    assert "weight" not in pq.read_schema(data.parts("train")[0]).names


@pytest.mark.parametrize(
    ("position", "message"),
    [
        ({"column": "place", "propensity": [1.0, 0.0]}, "expected numbers above 0, at most 1. Received: 0.0"),
        ({"column": "place", "propensity": [1.5]}, "expected numbers above 0, at most 1. Received: 1.5"),
        ({"column": "place", "largest_weight": 0.5}, "position.largest_weight"),
        ({"column": "place", "propensity": []}, "position.propensity"),
    ],
)
def test_what_cannot_be_in_a_schema(tmp_path, position, message):
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump(SCHEMA | {"position": position}))
    with pytest.raises(InputError, match=message):
        schemas.load(tmp_path / "schema.yaml")


def test_a_place_before_the_first_and_places_without_a_positive_are_named(tmp_path):
    table, _ = clicks(600, by_chance=True)
    with pytest.raises(InputError, match="row .*: place has to be an integer from 1 on. Received: 0"):
        prepared(tmp_path, table.assign(place=table.place - 1), "place")
    assert prepared(tmp_path, table.assign(place=table.place - 1), {"column": "place", "first": 0}).rows("train") > 0
    with pytest.raises(InputError, match="no training row with a place is a positive, so nothing is estimated"):
        prepared(tmp_path, table.assign(place=table.place.where(table.clicked == 0).astype("Int64")), "place")
