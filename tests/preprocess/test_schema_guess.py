"""A first schema for a file: roles, kinds and sides as a person would choose them, and data that it prepares."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from preprocess import schema as schemas
from preprocess.options import DataOptions
from preprocess.own_data import OwnData
from preprocess.prepare import prepare
from preprocess.schema_guess import guess
from prerank.errors import InputError

ROOT = Path(__file__).parents[2]


def ads(rows=3_000):
    random = np.random.default_rng(0)
    user, ad = random.integers(0, 150, rows), random.integers(0, 60, rows)
    return pd.DataFrame(
        {
            "UserId": user,
            "country": np.array(["de", "fr", None])[user % 3],
            "interests": [["sports", "music"][: number % 3] for number in user],
            "device": random.choice(["phone", "desktop"], rows),
            "hour": random.integers(0, 24, rows),
            "ad_id": [f"a{number}" for number in ad],
            "tags": ["red|cheap" if number % 2 else "blue" for number in ad],
            "category": ad % 7,
            "price": 1.5 + ad,
            "title embedding": [np.array([0.5, 0.25], np.float32)] * rows,
            "position": random.integers(1, 9, rows),
            "importance": random.random(rows),
            "clicked": (random.random(rows) < 0.3).astype(int),
            "bought": (random.random(rows) < 0.05).astype(int),
            "ts": 1_790_000_000_000 + np.sort(random.integers(0, 10**9, rows)),
        }
    )


def test_a_guess_says_what_a_person_would(tmp_path):
    path = tmp_path / "Ad logs.parquet"
    ads().to_parquet(path)
    text = guess(path)
    (tmp_path / "schema.yaml").write_text(text)
    found = schemas.load(tmp_path / "schema.yaml")
    assert (found.dataset, found.user_id, found.item_id) == ("ad_logs", "user_id", "ad_id")
    assert (found.label.column, found.time.column, found.time.unit, found.weight) == (
        "clicked",
        "ts",
        "ms",
        "importance",
    )
    assert found.fields["user_id"].column == "UserId"
    assert {name: (one.side, one.kind, one.type) for name, one in found.fields.items()} == {
        "user_id": ("user", "sparse", "int64"),
        "country": ("user", "sparse", "string"),
        "interests": ("user", "sequence", "string"),
        "device": ("user", "sparse", "string"),
        "hour": ("user", "sparse", "int64"),
        "ad_id": ("item", "sparse", "string"),
        "tags": ("item", "sequence", "string"),
        "category": ("item", "sparse", "int64"),
        "price": ("item", "dense", "string"),
    }
    assert found.fields["tags"].separator == "|"
    assert found.context == ("device", "hour")
    assert set(found.static) == {"country", "interests", "ad_id", "tags", "category"}
    assert found.category == "category"
    for column in ("bought", "position", "title embedding"):
        assert f"# left out: {column}, " in text
    for line in text.splitlines():
        assert not line.startswith("  ") or "  # " in line
    made = prepare(
        OwnData.load(tmp_path / "schema.yaml"),
        DataOptions(data_path=path, prepared_dir=tmp_path / "out"),
        lambda _: None,
    )
    assert made.rows("train") > 2_000


def test_the_command_reads_csv_and_takes_what_names_do_not_say(tmp_path):
    frame = ads().drop(columns=["interests", "title embedding", "ts"]).rename(columns={"ad_id": "thing"})
    frame.to_csv(tmp_path / "logs.csv", index=False)
    command = [sys.executable, "-m", "preprocess.schema", "guess", str(tmp_path / "logs.csv")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no column looks like it: name one with --item_id, of UserId, country" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    done = subprocess.run(
        [*command, "--item_id", "thing", "--label", "bought"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (tmp_path / "schema.yaml").write_text(done.stdout)
    found = schemas.load(tmp_path / "schema.yaml")
    assert (found.item_id, found.label.column, found.time, found.history) == ("thing", "bought", None, None)
    assert "clicked" not in found.fields
    assert "# time: no column looks like one, so only --split random is possible" in done.stdout


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"broken\.parquet: cannot be read"):
        guess(tmp_path / "broken.parquet")
    with pytest.raises(InputError, match="ends in .parquet, .csv"):
        guess(tmp_path / "data.json")
    ads(10).iloc[:0].to_parquet(tmp_path / "none.parquet")
    with pytest.raises(InputError, match="there are no rows"):
        guess(tmp_path / "none.parquet")
    ads(10).to_parquet(tmp_path / "few.parquet")
    with pytest.raises(InputError, match="--label: there is no column 'like'"):
        guess(tmp_path / "few.parquet", label="like")
