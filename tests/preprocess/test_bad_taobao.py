"""Each kind of bad Taobao file gives one clear line with the file and the line, and leaves nothing behind."""

import pytest
from taobao_files import make

from preprocess.options import DataOptions
from preprocess.prepare import prepare
from preprocess.taobao import ADAPTER
from prerank.errors import InputError


@pytest.fixture(scope="module")
def tiny():
    return make()


def error_of(data_path, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InputError) as caught:
        prepare(ADAPTER, DataOptions(data_path=data_path, prepared_dir=out), report=lambda line: None)
    message = str(caught.value)
    assert "\n" not in message
    assert not out.exists()
    return message


BAD_LINES = [
    ("raw_sample", 3, "1,1494000000,2,430548_1007,0,2", "clk is 0 or 1. Received: 2"),
    ("raw_sample", 4, "1,1494000000,2,430548_1007,1,1", "nonclk is not 1 - clk. Received: 1"),
    (
        "raw_sample",
        5,
        "1,1494000000000,2,430548_1007,0,1",
        "time_stamp has to be in seconds since 1970. Received: 1494",
    ),
    ("raw_sample", 1, "user,time_stamp,adgroup_id,pid,nonclk,click", "no column clk in the header"),
    ("ad_feature", 8, "8,1,2,3,4,cheap", "price has to be a number. Received: 'cheap'"),
    ("ad_feature", 9, "8,1,2,3,null,10", "brand has to be an integer. Received: 'null'"),
    ("ad_feature", 9, "NULL,1,2,3,4,10", "adgroup_id is NULL"),
    ("user_profile", 5, "1,1,1,1,1,1,1,1,1", "userid 1 is already on line 2"),
    ("user_profile", 5, "4,1,1,1,1,2.0,1,1,1", "pvalue_level has to be an integer. Received: '2.0'"),
    ("behavior_log", 5, "4,1494000000,look,1,1", "btag is one of pv, cart, fav, buy. Received: look"),
]


@pytest.mark.parametrize(("file", "line", "text", "message"), BAD_LINES)
def test_a_bad_line_is_named(tiny, tmp_path, file, line, text, message):
    path = tiny.write(tmp_path / "raw") / f"{file}.csv"
    lines = path.read_text().split("\n")
    lines[line - 1] = text
    path.write_text("\n".join(lines))
    error = error_of(path.parent, tmp_path)
    assert error.startswith(f"{path}, line {line}: ")
    assert message in error


@pytest.mark.parametrize(("file", "key"), [("ad_feature", "adgroup_id"), ("user_profile", "user")])
def test_a_join_that_loses_too_many_rows(tiny, tmp_path, file, key):
    path = tiny.write(tmp_path / "raw") / f"{file}.csv"
    lines = path.read_text().split("\n")
    path.write_text("\n".join(lines[: len(lines) // 2]))
    error = error_of(path.parent, tmp_path)
    assert error.startswith(f"{tmp_path / 'raw' / 'raw_sample.csv'}, line ")
    assert "of 700 rows" in error
    assert f"have a {key} that {file}.csv does not hold, at most 20% may" in error


def test_a_truncated_gz(tiny, tmp_path):
    folder = tiny.write(tmp_path / "raw", suffix=".gz")
    file = folder / "behavior_log.csv.gz"
    file.write_bytes(file.read_bytes()[:-20])
    assert error_of(folder, tmp_path).startswith(f"{file}: damaged or truncated gzip file")


def test_an_empty_file_and_one_without_data_lines(tiny, tmp_path):
    folder = tiny.write(tmp_path / "raw")
    (folder / "ad_feature.csv").write_text("")
    assert error_of(folder, tmp_path) == f"{folder / 'ad_feature.csv'}: is empty"
    (folder / "ad_feature.csv").write_text("adgroup_id,cate_id,campaign_id,customer,brand,price\n")
    assert "a header, but no data line" in error_of(folder, tmp_path)


def test_no_taobao_at_all(tmp_path):
    assert error_of(tmp_path / "nowhere", tmp_path) == f"{tmp_path / 'nowhere'}: no such folder or file"
    (tmp_path / "raw").mkdir()
    error = error_of(tmp_path / "raw", tmp_path)
    assert "not a Taobao folder: expected raw_sample.csv" in error
    (tmp_path / "raw" / "notes.txt").write_text("one,two\n")
    assert "267 columns expected" in error_of(tmp_path / "raw" / "notes.txt", tmp_path)
