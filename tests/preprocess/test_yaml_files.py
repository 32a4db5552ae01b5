"""YAML as people write it, and as nobody should."""

import math

import pytest
import yaml
from damaged import EXAMPLES, damaged_bytes, survives
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess import yaml_files
from preprocess.yaml_files import parse_yaml, read_yaml
from prerank.errors import InputError

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{here}: &{here} [{','.join(['*' + before] * 9)}]\n" for before, here in zip("abcdefgh", "bcdefghi", strict=True)
)
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_SCALAR = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | _TEXT
_SCALAR |= st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    ["1e-3", "1.0e5", "0x1F", "yes", "1_0", "~"]
)
_VALUE = st.recursive(_SCALAR, lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner), max_leaves=10)


@settings(max_examples=200, derandomize=True, database=None, deadline=None)
@given(st.dictionaries(_TEXT, _VALUE))
def test_what_was_dumped_is_read_back(values):
    assert parse_yaml(yaml.safe_dump(values)) == values


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def loader(request, monkeypatch):
    """With libyaml and without."""
    monkeypatch.setattr(yaml_files, "_LOADER", getattr(yaml, request.param))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x: 5", 5),
        ("x: -5", -5),
        ("x: +5", 5),
        ("x: 0.5", 0.5),
        ("x: 1.0e-05", 1e-05),
        ("x: true", True),
        ("x: ~", None),
        ("x:", None),
        ("x: '5'", "5"),
        ("x: !!str 5", "5"),
        ("x: [1, {a: b}]", [1, {"a": "b"}]),
        ("x: >\n a\n b\n", "a b\n"),
        ("x: 2020-02-30", "2020-02-30"),
        ("x: 0x_", "0x_"),
        ("x: 0x1F", "0x1F"),
        ("x: 1_0", "1_0"),
        ("x: 1:30", "1:30"),
        ("x: 017", "017"),
        ("x: .nan", ".nan"),
        ("x: .inf", ".inf"),
        ("x: yes", "yes"),
        ("x: no", "no"),
        ("x: 1e-3", "1e-3"),
        ("\ufeffx: 5", 5),
        ("a: &a [1]\nx: [*a, *a]", [[1], [1]]),
    ],
)
def test_values(text, value, loader, tmp_path):
    (tmp_path / "x.yaml").write_text(text)
    assert read_yaml(tmp_path / "x.yaml")["x"] == value


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        (BOMB + "x: *i", 5, "50,000 values"),
        ("x: " + "[" * 5000 + "]" * 5000, 1, "64 deep"),
        ("- " * 5000, 1, "64 deep"),
        ("x: " + "9" * 5000, 1, "64 bits"),
        ("x: 1.0e+999", 1, "finite"),
        ("x: &a [*a]", 1, "stands for nothing"),
        ("a: 1\nx: 1\nx: 2", 3, "'x' occurs twice"),
        ("1: 2", 1, "a key"),
        ("? [a]\n: 1", 1, "a key"),
        ("~: 1", 1, "a key"),
        ("x: !!int abc", 1, "tag"),
        ("x: !!int 5", 1, "tag"),
        ("x: !!python/object/apply:os.system [ls]", 1, "tag"),
        ("x: !!binary aaaa", 1, "tag"),
        ("x: !!timestamp 2020-01-01", 1, "tag"),
        ("x: !!set {a}", 1, "tag"),
        ('x: "a\\0b"', 1, "NUL"),
        ("x: [", 1, "not valid YAML"),
        ("x: a: b", 1, "not valid YAML"),
        ("a: 1\n---\nb: 2", 2, "one document"),
        ("%YAML 9.9\n--- x", None, "YAML|keys"),
        ("- a", None, "keys and values"),
        ("", None, "keys and values"),
        ("x", None, "keys"),
        ("\x01", None, "not valid YAML"),
        ("x: y\n" * 60_000, None, "bytes"),
        ("x: " + "y" * 300_000, None, "262,144 bytes"),
    ],
)
def test_what_is_refused(text, line, word, loader, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=word) as error:
        read_yaml(path, "--config")
    where = f"{path}: --config: " if line is None else f"{path}, line {line}: --config: not valid YAML: "
    assert line is None or str(error.value).startswith(where)
    assert len(str(error.value)) <= 450


def test_a_hundred_thousand_numbers_stay_numbers():
    assert math.isclose(sum(parse_yaml("[" + ", ".join(["0.5"] * 40_000) + "]")), 20_000)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_damaged_files(examples, tmp_path):
    path = tmp_path / "x.yaml"

    def read(damaged):
        path.write_bytes(damaged)
        read_yaml(path)

    whole = yaml.safe_dump({"a": [1, 2.5, None, {"b": "x: y"}], "c": "multi\nline", "d": {"e": "0x1F", "f": True}})
    survives(damaged_bytes((BOMB[:30] + whole).encode()), read, examples)
