"""What a message of wrong input may hold, however large what it names is."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prerank.errors import ArtefactError, InputError, UnknownItemsError
from prerank.terminal import Parser, hours, positive, random_seed

_MILLIONS = 3_000_000


@settings(max_examples=200, derandomize=True, database=None, deadline=None)
@given(st.text(), st.none() | st.text(), st.none() | st.integers(1))
def test_a_message_is_one_short_line(text, path, line):
    for message in (text, f"expected {text * 40}, not '{text * 40}'. Received: {text * 40!r}"):
        error = str(InputError(message, path=path, line=line))
        assert len(error) <= 500
        assert error.isprintable()


@pytest.mark.parametrize(
    "value",
    ["x" * _MILLIONS, "'" * _MILLIONS, "\\'" * _MILLIONS, "a 'b' " * _MILLIONS, "/a" * _MILLIONS, "\n" * _MILLIONS],
)
def test_a_value_of_megabytes_is_cut_at_once(value):
    begun = time.process_time()
    for error in (
        InputError(value),
        InputError(f"expected less. Received: {value!r}"),
        InputError("wrong", path=value),
    ):
        assert len(str(error)) <= 450
    assert time.process_time() - begun < 2


def test_what_is_short_stays_as_it_is():
    text = "user: feature 'gender' of the model's isn't a text. Received: ['a', 'b']"
    assert str(InputError(text)) == text
    assert str(InputError("first\n  second")) == "first second"
    assert str(InputError("wrong", path="/a/b.json", line=3)) == "/a/b.json, line 3: wrong"
    assert str(InputError(str(InputError("x" * 999, path="p")))) == str(InputError("x" * 999, path="p"))


def test_cut_values_keep_both_ends_and_paths_their_end():
    error = str(InputError(f"no {'a' * 300}z, got 'b{'c' * 300}d'. Received: {'e ' * 300}f"))
    assert "aaa...aaa" in error
    assert "z, got 'bccc" in error
    assert "cccd'" in error
    assert error.endswith("e f")
    error = str(InputError("wrong", path=f"/{'g/' * 300}name.json"))
    assert error.startswith("...g/g/")
    assert error.endswith("/g/name.json: wrong")


def test_control_characters_and_line_separators_are_escaped():
    error = str(ArtefactError("a\x1b[31mb\u2028c\x00d\u202ee\ud800f", path="x\ny"))
    assert error == r"x\ny: a\x1b[31mb\u2028c\x00d\u202ee\ud800f"


def test_unknown_items_are_named_in_few_characters():
    error = UnknownItemsError(["x" * _MILLIONS] * 50)
    assert len(str(error)) <= 450
    assert len(error.ids) == 50


def _flags(*argv):
    parser = Parser(prog="x")
    for name, kind in (("top", positive), ("seed", random_seed), ("hours", hours), ("n", int), ("x", float)):
        parser.add_argument(f"--{name}", type=kind)
    parser.add_argument("--choice", choices=("a", "b"))
    return parser.parse_args(argv)


@pytest.mark.parametrize(
    "flag",
    [
        "--top=0",
        "--top=1_0",
        "--top= 5",
        "--top=５",
        "--top=+5",
        "--top=0x5",
        "--top=9223372036854775808",
        "--top=5.0",
        "--seed=-1",
        "--seed=4294967296",
        "--hours=nan",
        "--hours=-1",
        "--hours=inf",
        "--hours=1e9",
        "--n=1_0",
        "--n=",
        "--x=nan",
        "--x=1_0.5",
        "--x=1e999",
        "--x=0x1p3",
        f"--n={'9' * _MILLIONS}",
        f"--choice={'c' * _MILLIONS}",
        f"--{'y' * _MILLIONS}",
        "z" * _MILLIONS,
    ],
)
def test_wrong_flags_are_told_in_one_short_line(flag):
    with pytest.raises(InputError) as error:
        _flags(flag)
    assert len(str(error.value)) <= 450
    assert flag.split("=")[0][:10] in str(error.value)


def test_right_flags_are_taken():
    flags = _flags(
        "--top=10", "--seed=4294967295", "--hours=1.5", "--n=-9223372036854775808", "--x=-1.5e-3", "--choice=a"
    )
    assert (flags.top, flags.seed, flags.hours, flags.n, flags.x) == (10, 2**32 - 1, 1.5, -(2**63), -0.0015)
