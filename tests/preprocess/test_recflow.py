"""RecFlow's adapter reads generated files of the official layout as plain Python does, and names what is wrong."""

import pickle
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pytest

from features import UNLABELLED
from preprocess.feather_rows import _of_file
from preprocess.generate.__main__ import main
from preprocess.generate.recflow import generate
from preprocess.generate.truth import Truth
from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from preprocess.recflow import _VIEWED, _views
from prerank.errors import InputError

GRADES = {
    "prerank_neg": 1,
    "coarse_neg": 2,
    "rank_neg": 3,
    "rerank_neg": 3,
    "rank_pos": 4,
    "rerank_pos": 4,
    "realshow": 5,
}
DAY = "2024-01-15"


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recflow") / "raw"
    generate(folder, requests=500, users=30, items=240, seed=2)
    return folder


@pytest.fixture
def copy(raw, tmp_path):
    return shutil.copytree(raw, tmp_path / "raw")


def prepared_from(folder, out, **options):
    asked = OwnDataOptions(dataset="recflow", data_path=folder, prepared_dir=out, **options)
    lines = []
    return prepare(NoSchema(), asked, lines.append), lines


def official(folder, name="all_stage"):
    files = sorted((folder / name).glob("*.feather"))
    return pd.concat([pd.read_feather(file) for file in files], ignore_index=True)


def stored(prepared):
    parts = {part: pd.concat([pd.read_parquet(file) for file in prepared.parts(part)]) for part in
             ("train", "validation", "test")}  # fmt: skip
    return pd.concat([table.assign(part=part) for part, table in parts.items()]).set_index("row").sort_index()


@pytest.fixture(scope="module")
def prepared(raw, tmp_path_factory):
    return prepared_from(raw, tmp_path_factory.mktemp("out"))


def test_the_rows_are_the_candidates_with_their_stages(raw, prepared):
    rows, found = official(raw), stored(prepared[0])
    assert prepared[0].spec.dataset == "recflow_generated"
    assert len(found) == len(rows)
    stages = np.max([rows[flag] * grade for flag, grade in GRADES.items()], axis=0)
    assert found.stage.tolist() == stages.tolist()
    assert set(stages) == {1, 2, 3, 4, 5}
    assert found.label.tolist() == np.where(rows.realshow == 1, rows.effective_view, UNLABELLED).tolist()
    assert found.timestamp.tolist() == (rows.request_timestamp // 1000).tolist()
    requests = {request: number for number, request in enumerate(sorted(set(rows.request_id)))}
    assert found.request.tolist() == [requests[request] for request in rows.request_id]
    assert rows[rows.realshow == 1].groupby("request_id").size().max() > 6
    days = (
        pd.to_datetime(rows.request_timestamp, unit="ms", utc=True).dt.tz_convert("Asia/Shanghai").dt.date.astype(str)
    )
    expected = days.map({"2024-01-26": "test", "2024-01-25": "validation"}).fillna("train")
    assert found.part.tolist() == expected.tolist()


def test_histories_are_the_official_sequences(raw, prepared):
    rows, found = official(raw), stored(prepared[0])
    sequences = {}
    for file in (raw / "seq_effective_50_dict").glob("*.pkl"):
        sequences |= pickle.loads(file.read_bytes())
    words = [-1, -2, *prepared[0].vocabulary("video_id").tolist()]
    authors = [-1, -2, *prepared[0].vocabulary("author_id").tolist()]
    lengths = []
    for row in rows.index[::7]:
        sequence = sequences[int(rows.request_id[row])]
        viewed = sequence[sequence[:, 7] > 0]
        history = [words[index] for index in found.viewed_video_id[row]]
        known = [video if video in words else -2 for video in viewed[:, 0].tolist()]
        # views of one moment have no order
        assert sorted(history) == sorted(known)
        assert sorted(authors[index] for index in found.viewed_author_id[row]) == sorted(
            author if author in authors else -2 for author in viewed[:, 1].tolist()
        )
        times = dict(zip(viewed[:, 0].tolist(), viewed[:, 7].tolist(), strict=True))
        assert len(history) == len(viewed) <= 50
        order = [times[video] for video in history if video in times]
        assert len(times) < len(viewed) or order == sorted(order)
        lengths.append(len(history))
    assert max(lengths) > 10
    assert min(lengths) == 0


def test_the_truth_agrees_with_the_first_places(raw):
    truth, rows = Truth.load(raw), official(raw)
    first = rows[(rows.realshow == 1) & (rows.rank_index == 1)]
    p = np.array(
        [truth.probabilities([user], [video])[0, 0] for user, video in zip(first.user_id, first.video_id, strict=True)]
    )
    assert abs(first.effective_view.sum() - p.sum()) < 4 * np.sqrt((p * (1 - p)).sum())


def test_shown_rows_only_and_histories_of_rows(raw, tmp_path):
    shutil.copytree(raw / "realshow", tmp_path / "raw" / "realshow")
    (tmp_path / "raw" / "realshow" / "2024-01-20.feather").unlink()
    found, lines = prepared_from(tmp_path / "raw", tmp_path / "out")
    assert found.spec.liked == "viewed_video_id"
    assert set(stored(found).stage) == {5}
    assert any("no folder seq_effective_50_dict" in line for line in lines)
    assert any("days have gaps: --split time cuts by shares" in line for line in lines)
    assert "labelled" not in found.manifest["parts"]["train"]


def test_missing_files_are_named(copy, tmp_path):
    (copy / "seq_effective_50_dict" / f"{DAY}.pkl").unlink()
    with pytest.raises(InputError, match=f"{DAY}.pkl: no such file, and {DAY}.feather is there"):
        prepared_from(copy, tmp_path / "out")
    with pytest.raises(InputError, match="no all_stage/DATE.feather and no realshow/DATE.feather"):
        prepared_from(tmp_path, tmp_path / "out")
    (copy / "all_stage" / "monday.feather").write_bytes(b"x")
    with pytest.raises(InputError, match="monday.feather: a file of a day is named as in 2024-01-13.feather"):
        prepared_from(copy, tmp_path / "out")


def with_values(**columns):
    """A change of rows: other values in some columns."""
    return lambda rows: rows.assign(**columns)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rows: rows.drop(columns="video_id"),
            "no column video_id.* Received: request_id, request_timestamp",
        ),
        (with_values(request_id=lambda rows: rows.request_id.where(rows.index != 2)), "row 3: request_id is"),
        (with_values(request_timestamp=10**18), "row 1: request_timestamp has to be a time from 1900"),
        (
            with_values(user_id=lambda rows: rows.user_id + (rows.index == 1)),
            "row 2: request_id .* other values .* .user_id",
        ),
        (with_values(prerank_neg=0), "none of the flags realshow, .*, prerank_neg is 1"),
        (with_values(effective_view=2), "row 1: effective_view of a shown video has to be 0 or 1. Received: 2.0"),
        (with_values(age="old"), "row 1: age has to be an integer. Received: 'old'"),
    ],
)
def test_a_wrong_row_is_named(copy, tmp_path, change, message):
    file = copy / "all_stage" / f"{DAY}.feather"
    pyarrow.feather.write_feather(change(pd.read_feather(file)), str(file))
    with pytest.raises(InputError, match=f"{DAY}.feather.*{message}"):
        prepared_from(copy, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("manifest.json"))


def test_damaged_feather_files_are_refused(copy, tmp_path):
    file = copy / "all_stage" / f"{DAY}.feather"
    whole = file.read_bytes()
    for content in (b"nothing", whole[: len(whole) // 2], whole[:-40]):
        file.write_bytes(content)
        with pytest.raises(InputError, match=f"{DAY}.feather.*(damaged|no Feather)"):
            prepared_from(copy, tmp_path / "out")


def test_an_error_without_text_is_told_by_its_kind(copy, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise pa.ArrowInvalid

    monkeypatch.setattr("preprocess.feather_rows.pa.ipc.open_file", fails)
    with pytest.raises(InputError, match=f"{DAY}.feather.*no Feather file .ArrowInvalid."):
        list(_of_file(copy / "all_stage" / f"{DAY}.feather", []))


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ([1, 2], "a dict of sequences by request expected. Received: list"),
        ({"7": np.zeros((50, 10), int)}, "a request's key has to be an integer. Received: '7'"),
        ({7: np.zeros(10, int)}, "the sequence of request 7 has to be an array of 8 columns or more"),
        ({7: [1]}, "the sequence of request 7 has to be an array of 8 columns or more. Received: list"),
        ({7: np.zeros((50, 10))}, "the sequence of request 7 has to hold integers. Received: float64"),
        ({7: np.full((1, 10), 10**18)}, "the sequence of request 7 has a time that is none in milliseconds"),
        ({7: np.array([[-1] * 7 + [10**12] + [0] * 2])}, "the sequence of request 7 has a view without a video"),
    ],
)
def test_a_wrong_sequence_is_named(copy, tmp_path, sequences, message):
    (copy / "seq_effective_50_dict" / f"{DAY}.pkl").write_bytes(pickle.dumps(sequences))
    with pytest.raises(InputError, match=f"{DAY}.pkl: {message}"):
        prepared_from(copy, tmp_path / "out")


def test_sequences_of_a_file_may_differ_in_further_columns(tmp_path):
    views = np.arange(1, 11)[None] + np.array([[0] * 7 + [10**12] + [0] * 2])
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({7: views[:, :8], 8: views[:, :9], 9: views[:0]}))
    schema = pa.schema([(name, pa.int64()) for name in ("request", "row", *_VIEWED)])
    (batch,) = _views(tmp_path / "a.pkl", schema)
    assert batch.to_pydict() == {
        "request": [7, 8],
        "row": [10**12 + 8] * 2,
        "video_id": [1, 1],
        "author_id": [2, 2],
        "category_level_two": [3, 3],
        "category_level_one": [4, 4],
    }


class Touches:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.path}",)


def test_a_pickle_that_calls_is_refused(copy, tmp_path):
    (copy / "seq_effective_50_dict" / f"{DAY}.pkl").write_bytes(pickle.dumps({1: Touches(tmp_path / "ran")}))
    with pytest.raises(InputError, match=f"{DAY}.pkl: the pickle names posix.system: only plain containers"):
        prepared_from(copy, tmp_path / "out")
    assert not (tmp_path / "ran").exists()


def test_a_schema_and_a_data_set_exclude_each_other(raw, tmp_path):
    with pytest.raises(ValueError, match="--dataset has a layout of its own"):
        OwnDataOptions(dataset="recflow", schema=tmp_path / "a.yaml", data_path=raw)


@pytest.mark.parametrize("options", [{"kuairec_matrix": "big"}, {"kuairec_positive_from": 1.5}])
@pytest.mark.parametrize("dataset", ["recflow", None])
def test_options_of_another_data_set_are_refused(tmp_path, dataset, options):
    with pytest.raises(ValueError, match=f"--{next(iter(options))} needs --dataset kuairec. Received: "):
        OwnDataOptions(dataset=dataset, data_path=tmp_path, **options)
    OwnDataOptions(dataset="kuairec", data_path=tmp_path, **options)


def test_the_same_seed_gives_the_same_bytes(tmp_path, capsys):
    for name in ("one", "two"):
        arguments = ["--requests", "30", "--users", "5", "--items", "200", "--seed", "3"]
        assert main(["recflow", str(tmp_path / name), *arguments]) == 0
    assert "30 requests, 900 rows, 300 of them shown" in capsys.readouterr().out
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(files) == 3 * 15 + 2
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)
