"""Objects line by line: JSON and literals give the same, in blocks of any size, and nothing is evaluated."""

import gzip
import json

import pyarrow as pa
import pytest

from preprocess import object_lines
from preprocess.object_lines import Member, read
from prerank.errors import InputError

MEMBERS = (Member("a", required=True), Member("n", "int"), Member("x", "label"), Member("p", "paths"))
OBJECTS = [
    {
        "a": f"é {place}\\ \"'",
        "n": None if place % 3 else -place,
        "x": place / 7,
        "p": [["a", "b"], [str(place)]],
        "o": {},
    }
    for place in range(200)
] + [{"a": " "}, {"a": "\N{GRINNING FACE}", "p": []}, {"a": "x", "p": [[]], "n": 2**63 - 1, "x": 5}]


def table(path):
    return pa.Table.from_batches(read(path, MEMBERS)).combine_chunks()


def write(path, lines, end="\n"):
    data = end.join(lines).encode() + end.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.fixture
def expected():
    columns = {member.name: [found.get(member.name) for found in OBJECTS] for member in MEMBERS}
    return pa.table({"_row": list(range(len(OBJECTS)))} | columns, schema=object_lines.schema(MEMBERS))


@pytest.mark.parametrize("block", [1, 300, 1 << 23])
@pytest.mark.parametrize("spelling", ["json", "literal", "mixed", "gz", "crlf", "blank last lines"])
def test_every_spelling_gives_the_same(tmp_path, monkeypatch, expected, spelling, block):
    monkeypatch.setattr(object_lines, "_BLOCK", block)
    spell = {"literal": [repr], "mixed": [json.dumps, repr]}.get(spelling, [json.dumps])
    lines = [spell[place % len(spell)](found) for place, found in enumerate(OBJECTS)]
    lines += ["", ""] if spelling == "blank last lines" else []
    path = write(
        tmp_path / ("a.json.gz" if spelling == "gz" else "a.json"), lines, "\r\n" if spelling == "crlf" else "\n"
    )
    assert table(path).equals(expected)


def test_json_is_not_read_line_by_line(tmp_path, monkeypatch, expected):
    path = write(tmp_path / "a.json", map(json.dumps, OBJECTS))
    monkeypatch.setattr(object_lines, "_by_line", None)
    assert table(path).equals(expected)


def test_the_last_line_may_lack_its_end(tmp_path, expected):
    path = write(tmp_path / "a.json", map(json.dumps, OBJECTS))
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert table(path).equals(expected)


@pytest.mark.parametrize("block", [1, 64, 1 << 23])
@pytest.mark.parametrize(
    "text", ["null", "true", "{", '{"a": "\\ud800"}', "{'a': print()}", "{'a': 'x' * 3}", "", "{'b': 1}"]
)
def test_a_wrong_line_is_named_wherever_the_blocks_end(tmp_path, monkeypatch, text, block):
    monkeypatch.setattr(object_lines, "_BLOCK", block)
    path = write(tmp_path / "a.json", ['{"a": "x"}'] * 5 + [text] + ['{"a": "x"}'] * 5)
    with pytest.raises(InputError) as caught:
        table(path)
    assert str(caught.value).startswith(f"{path}, line 6: ")
    assert "\n" not in str(caught.value)


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(object_lines, "_BLOCK", 100)
    monkeypatch.setattr(object_lines, "_LONGEST_LINE", 1000)
    path = write(tmp_path / "a.json", ["{" + " " * 2000])
    with pytest.raises(InputError, match="a line of more than"):
        table(path)
