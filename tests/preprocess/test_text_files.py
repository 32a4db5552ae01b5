"""A file that is not lines of text is named for what it is, and nothing is written."""

import bz2
import gzip
import io
import lzma
import zipfile

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from preprocess import object_lines
from preprocess.delimited import read
from preprocess.object_lines import Member
from preprocess.raw import Column, Layout, RawFile
from prerank.errors import InputError

TEXT = b"x,y\n1,2\n3,4\n"
COLUMNS = (Column("x", "int"), Column("y"))
LAYOUTS = {"csv": Layout(COLUMNS, ",", header=True, quote='"', encoding="utf-8"), "dat": Layout(COLUMNS, ",")}


def _file_of(write):
    written = io.BytesIO()
    write(pa.table({"x": [1]}), written)
    return written.getvalue()


def _archive():
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("a.csv", TEXT)
    return written.getvalue()


KINDS = {
    "is a gzip file: its name has to end in .gz": gzip.compress(TEXT),
    "is a Parquet file, and no text": _file_of(pq.write_table),
    "is a Feather file, and no text": _file_of(lambda table, file: feather.write_feather(table, file)),
    "is a zip archive, or a workbook, and no text": _archive(),
    "is a bzip2 file, and no text": bz2.compress(TEXT),
    "is an xz file, and no text": lzma.compress(TEXT),
    "is a zstd file, and no text": pa.compress(TEXT, "zstd", asbytes=True),
    "is text in UTF-16: convert it to UTF-8": TEXT.decode().encode("utf-16"),
    "its lines end in CR only. Expected: LF or CRLF": TEXT.replace(b"\n", b"\r"),
}


def error_of(engine, data, name, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        _read(engine, tmp_path / name)
    return str(caught.value)


def _read(engine, path):
    if "json" in path.name:
        return list(object_lines.read(path, [Member("x", "int")]))
    return read(engine, RawFile.inspect(path), LAYOUTS[path.name.split(".")[1]])


@pytest.mark.parametrize("name", ["a.csv", "a.dat", "a.json"])
@pytest.mark.parametrize(("message", "data"), KINDS.items(), ids=KINDS)
def test_what_is_no_text_is_named(engine, message, data, name, tmp_path):
    assert error_of(engine, data, name, tmp_path) == f"{tmp_path / name}: {message}"


@pytest.mark.parametrize("name", ["a.csv.gz", "a.json.gz"])
@pytest.mark.parametrize(("message", "data"), KINDS.items(), ids=KINDS)
def test_what_is_packed_and_no_text_is_named(engine, message, data, name, tmp_path):
    error = error_of(engine, gzip.compress(data), name, tmp_path)
    if "gzip" in message:
        message = "is packed twice: unpack it once"
    elif not message.startswith("its lines"):
        message = f"unpacked, it {message}"
    assert error == f"{tmp_path / name}: {message}"


@pytest.mark.parametrize(
    "data",
    [
        TEXT.replace(b"\n", b"\r\n"),
        TEXT[:-1],
        b"x,y\n1,2\n3,4\r\n",
        b"x,y\r1,2\n3,4\n",
        b"\xef\xbb\xbf" + TEXT,
    ],
)
def test_text_is_read(engine, data, tmp_path):
    (tmp_path / "a.csv").write_bytes(data)
    table = read(engine, RawFile.inspect(tmp_path / "a.csv"), LAYOUTS["csv"]).table
    assert engine.table(table.select("x", "y").order_by("x")).to_pydict() == {"x": [1, 3], "y": ["2", "4"]}


def test_a_column_may_be_called_as_files_begin(engine, tmp_path):
    for name in ("PAR1", "PK", "BZh", "ARROW1"):
        (tmp_path / "a.csv").write_text(f"{name},y\n1,2\n")
        layout = Layout((Column("x", "int", source=name),), ",", header=True, quote='"', encoding="utf-8")
        assert engine.column(read(engine, RawFile.inspect(tmp_path / "a.csv"), layout).table, "x") == [1]
