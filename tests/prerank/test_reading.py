"""JSON, csv, arrays and names as others may write them."""

import json
import os
import zipfile
from io import BytesIO
from typing import NotRequired

import numpy as np
import pytest
from damaged import EXAMPLES, damaged_bytes, damaged_json, survives
from pydantic import with_config
from typing_extensions import TypedDict

from prerank import csv_rows, names, reading
from prerank.array_files import map_npy, read_npz
from prerank.errors import ArtefactError, InputError
from prerank.reading import RECORD, InnerPath, Name


@with_config(RECORD)
class Record(TypedDict):
    count: int
    names: dict[Name, list[float]]
    file: InnerPath
    yes: NotRequired[bool | None]


WHOLE = {"count": 3, "names": {"a": [0.5, 1]}, "file": "a/b.txt", "yes": None, "further": [1]}


def read(tmp_path, text, **options):
    path = tmp_path / "record.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return reading.read_record(path, Record, **options)


def test_a_record_is_read_back(tmp_path):
    assert read(tmp_path, json.dumps(WHOLE)) == WHOLE


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "not JSON"),
        ("[]", "object"),
        ("null", "object"),
        ('{"count": 1}', "names: Field required"),
        ('{"count": "3"', "line 1"),
        ("[" * 100_000, "64 deep"),
        ("[" * 65 + "]" * 65, "64 deep"),
        ('{"count": 1, "count": 2}', "'count' occurs twice"),
        ('{"count": NaN}', "finite"),
        ('{"count": 1e999}', "float"),
        ('{"count": ' + "9" * 5000 + "}", "5000 digits"),
        (b"\xff", "UTF-8"),
        ('"\ud800"', "UTF-8"),
        ('{"file": "\\ud800"}', "surrogate"),
        ("\ufeff{}", "byte order mark"),
        (" " * (2 << 20) + "{}", "2,097,152 bytes"),
        (json.dumps(WHOLE | {"count": True}), "count: Input should be a valid integer"),
        (json.dumps(WHOLE | {"count": 3.0}), "count: Input should be a valid integer"),
        (json.dumps(WHOLE | {"names": {"../x": [1]}}), "expected a name"),
        (json.dumps(WHOLE | {"names": {"a": [1, "x"]}}), r"names\.a\.1: Input should be a valid number"),
        (json.dumps(WHOLE | {"file": "/etc/passwd"}), "file: expected the path of a file within the folder"),
    ],
)
def test_what_is_no_record_is_named(text, word, tmp_path):
    with pytest.raises(InputError, match=rf"record\.json: .*{word}"):
        read(tmp_path, text)
    with pytest.raises(ArtefactError):
        read(tmp_path, text, raises=ArtefactError)


def test_constants_are_taken_where_python_wrote_them(tmp_path):
    (tmp_path / "x.json").write_text('{"a": [NaN, Infinity]}')
    assert repr(reading.read_json(tmp_path / "x.json", constants=True)) == "{'a': [nan, inf]}"


def test_what_is_no_regular_file_never_hangs(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, word in (
        (tmp_path / "pipe", "regular"),
        (tmp_path, "regular"),
        ("/dev/zero", "regular"),
        ("a\0b", "null"),
    ):
        with pytest.raises(InputError, match=word):
            reading.read_json(path)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_damaged_records(examples, tmp_path):
    survives(damaged_json(WHOLE), lambda damaged: read(tmp_path, damaged), examples)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "../x", "a/b", "/a", "-a", "_a", ".a", "a\0", "a b", "é", "a\n", "x" * 101]
)
def test_names_that_are_no_folder_of_ours(text):
    with pytest.raises(InputError, match="name"):
        names.name(text)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a/../b", "a//b", "/a", "a/", "a\\b", "a\0", "a\nb", "x" * 256, "a/" * 20 + "b", "\ud800"]
)
def test_paths_that_lead_elsewhere(text):
    with pytest.raises(InputError, match="path"):
        names.inner_path(text)
    assert names.inner_path("variables/variables.data-00000-of-00001").startswith("variables/")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a,b\n1\n", "2 cells"),
        ("a,b\n1,2,3\n", "2 cells"),
        ("a,b,a\n1,2,3\n", "twice"),
        ("a\n1\n", "no column b"),
        ("a,b\n1,\0\n", "NUL"),
        ('a,b\n1,"x\n', "csv"),
        ("a,b\n1,x\n", "row 1: expected a finite decimal number"),
        ("a,b\n1,1_0\n", "decimal"),
        ("a,b\n1," + "9" * 200_000 + "\n", "field"),
        ("", "no column a, b"),
    ],
)
def test_csv_that_is_none(text, word):
    with pytest.raises(InputError, match=word):
        csv_rows.numbers(text, columns=("a", "b"))


def test_csv_is_read_as_it_was_written():
    assert repr(csv_rows.numbers("a,b\n1,nan\n-1.5e-3,\n")) == "[{'a': 1.0, 'b': nan}, {'a': -0.0015}]"
    assert csv_rows.rows('a,b\n"x\u2028,\x85",2\n') == [{"a": "x\u2028,\x85", "b": "2"}]


@pytest.fixture
def arrays(tmp_path):
    whole = {"bias": np.float32(0.5), "keys": np.arange(6, dtype=np.float32).reshape(2, 3)}
    np.savez(tmp_path / "w.npz", **whole)
    np.save(tmp_path / "a.npy", np.arange(6).reshape(1, 2, 3))
    return tmp_path


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize(("name", "reader"), [("w.npz", read_npz), ("a.npy", map_npy)])
def test_damaged_arrays(name, reader, arrays, examples):
    whole = (arrays / name).read_bytes()
    reader(arrays / name)

    def read(damaged):
        (arrays / name).write_bytes(damaged)
        reader(arrays / name)

    survives(damaged_bytes(whole), read, examples)


def _npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode().ljust(118 - 10 - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000000,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': [('a', '<f4'), ('b', '|O')], 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': '(((((((((((((((((((((', }",
        "-" * 90,
        "__import__('os').system('false')",
    ],
)
def test_arrays_are_plain_and_fill_their_file(header, tmp_path):
    (tmp_path / "a.npy").write_bytes(_npy(header, b"\0" * 4))
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("a.npy", _npy(header, b"\0" * 4))
    for reader, path in ((map_npy, tmp_path / "a.npy"), (read_npz, tmp_path / "w.npz")):
        with pytest.raises(ArtefactError, match="damaged"):
            reader(path)


def test_no_archive_unfolds(tmp_path):
    content = BytesIO()
    np.save(content, np.zeros(1_000_000, np.float32))
    for name, kind in (("a.npy", zipfile.ZIP_DEFLATED), ("../a.npy", zipfile.ZIP_STORED)):
        with zipfile.ZipFile(tmp_path / "w.npz", "w", kind) as archive:
            archive.writestr(name, content.getvalue())
        with pytest.raises(ArtefactError, match="compressed|expected a name"):
            read_npz(tmp_path / "w.npz")
