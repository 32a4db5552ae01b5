"""KuaiRec's adapter reads generated files of the official layout as plain Python does, and names what is wrong."""

import shutil

import numpy as np
import pandas as pd
import pytest

from preprocess.generate.__main__ import main
from preprocess.generate.kuairec import generate
from preprocess.generate.truth import Truth
from preprocess.kuairec import USER
from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from prerank.errors import InputError


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kuairec") / "raw"
    generate(folder, users=120, items=160, rows=4_000, seed=2)
    return folder


@pytest.fixture
def copy(raw, tmp_path):
    return shutil.copytree(raw, tmp_path / "raw")


def prepared_from(folder, out, **options):
    asked = OwnDataOptions(dataset="kuairec", data_path=folder, prepared_dir=out, **options)
    lines = []
    return prepare(NoSchema(), asked, lines.append), lines


def stored(prepared):
    parts = [file for part in ("train", "validation", "test") for file in prepared.parts(part)]
    return pd.concat([pd.read_parquet(file) for file in parts]).set_index("row").sort_index()


@pytest.mark.parametrize("matrix", ["small", "big"])
def test_the_rows_are_those_with_a_time(raw, tmp_path, matrix):
    prepared, lines = prepared_from(raw, tmp_path, kuairec_matrix=matrix)
    rows, found = pd.read_csv(raw / f"{matrix}_matrix.csv"), stored(prepared)
    assert prepared.spec.dataset == f"kuairec_{matrix}_generated"
    assert len(rows) == {"small": 30 * 40, "big": 4_000}[matrix]
    known = rows[rows.timestamp.notna()]
    assert 0 < len(known) < len(rows)
    assert f"{len(rows) - len(known)} rows of {matrix}_matrix.csv have no time and are left out" in lines
    assert found.index.tolist() == known.index.tolist()
    assert found.label.tolist() == (known.watch_ratio >= 2).astype(int).tolist()
    assert found.timestamp.tolist() == np.floor(known.timestamp).astype(int).tolist()
    categories = pd.read_csv(raw / "item_categories.csv").set_index("video_id").feat
    words = [None, -2, *prepared.vocabulary("categories").tolist()]
    videos = [-1, -2, *prepared.vocabulary("video_id").tolist()]
    for row in found.index[::50]:
        video = known.video_id[row]
        assert videos[found.video_id[row]] in (video, -2)
        expected = [int(text) for text in categories[video].strip("[]").split(",")]
        assert [words[index] for index in found.categories[row]] == [
            number if number in words else -2 for number in expected
        ]
        assert found.video_duration[row] == known.video_duration[row]
        mine = known[(known.user_id == known.user_id[row]) & (known.watch_ratio >= 2)]
        before = mine[np.floor(mine.timestamp) < np.floor(known.timestamp[row])]
        assert len(found.watched[row]) == min(len(before), 50)
    assert {*USER, "author_id", "upload_type", "video_tag_id"} < {field.name for field in prepared.spec.fields}


def test_another_watch_ratio_is_a_data_set_of_another_name(raw, tmp_path):
    prepared, _ = prepared_from(raw, tmp_path, kuairec_positive_from=0.5)
    rows = pd.read_csv(raw / "small_matrix.csv")
    known = rows[rows.timestamp.notna()]
    assert prepared.spec.dataset == "kuairec_small_from_0_5_generated"
    assert stored(prepared).label.sum() == (known.watch_ratio >= 0.5).sum() > (known.watch_ratio >= 2).sum()


def test_the_small_matrix_has_every_pair_and_agrees_with_the_truth(raw):
    truth, rows = Truth.load(raw), pd.read_csv(raw / "small_matrix.csv")
    assert not rows.duplicated(["user_id", "video_id"]).any()
    assert len(rows) == rows.user_id.nunique() * rows.video_id.nunique()
    for name in ("small", "big"):
        rows = pd.read_csv(raw / f"{name}_matrix.csv")
        p = truth.probabilities(truth.user_ids, truth.item_ids)[rows.user_id - 1, rows.video_id - 1]
        twice = (rows.watch_ratio >= 2).to_numpy()
        for part in np.array_split(np.argsort(p), 4):
            assert abs(twice[part].sum() - p[part].sum()) < 4 * np.sqrt((p[part] * (1 - p[part])).sum())


def test_the_folder_data_and_no_daily_features(copy, tmp_path):
    (tmp_path / "all").mkdir()
    copy.rename(tmp_path / "all" / "data")
    (tmp_path / "all" / "data" / "item_daily_features.csv").unlink()
    prepared, lines = prepared_from(tmp_path / "all", tmp_path / "out")
    assert "author_id" not in {field.name for field in prepared.spec.fields}
    assert any(
        "no item_daily_features.csv: of videos, categories and duration only are known" in line for line in lines
    )


def test_missing_files_are_named(copy, tmp_path):
    (copy / "user_features.csv").unlink()
    with pytest.raises(InputError, match="no user_features.csv in the folder, nor in its folder data"):
        prepared_from(copy, tmp_path / "out")
    with pytest.raises(InputError, match="no big_matrix.csv in the folder"):
        prepared_from(tmp_path, tmp_path / "out", kuairec_matrix="big")


@pytest.mark.parametrize(
    ("name", "column", "value", "message"),
    [
        ("small_matrix", "video_id", None, "small_matrix.csv, line 4: video_id is empty, and may not be missing"),
        ("small_matrix", "watch_ratio", "often", "line 4: watch_ratio has to be a number. Received: 'often'"),
        ("small_matrix", "timestamp", 1.6e12, "line 4: timestamp has to be seconds since 1970, .*. Received: 16"),
        ("item_categories", "feat", "27", "item_categories.csv, line 4: feat has to be a list .* Received: '27'"),
        ("item_categories", "video_id", 1, "item_categories.csv, line 4: video_id 1 is already on line 2"),
        ("user_features", "user_id", 2, "user_features.csv, line 4: user_id 2 is already on line 3"),
    ],
)
def test_a_wrong_line_is_named(copy, tmp_path, name, column, value, message):
    table = pd.read_csv(copy / f"{name}.csv", dtype=str)
    table.loc[2, column] = value if value is None else str(value)
    table.to_csv(copy / f"{name}.csv", index=False)
    with pytest.raises(InputError, match=message):
        prepared_from(copy, tmp_path / "out")


def test_the_same_seed_gives_the_same_bytes(tmp_path, capsys):
    arguments = ["--users", "12", "--items", "16", "--rows", "50", "--seed", "3"]
    for name in ("one", "two"):
        assert main(["kuairec", str(tmp_path / name), *arguments]) == 0
    assert "12 users, 16 videos, 50 rows of the big matrix" in capsys.readouterr().out
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 7
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)
    assert main(["kuairec", str(tmp_path / "few"), "--users", "3"]) == 2
    assert "it takes 4 users, 4 videos and 1 row at least" in capsys.readouterr().err
