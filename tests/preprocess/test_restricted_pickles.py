"""Pickles give plain containers and arrays; whatever else they name is refused, and nothing of it runs."""

import collections
import contextlib
import datetime
import io
import os
import pickle
import struct
import subprocess

import numpy as np
import pytest

from preprocess.restricted_pickles import read_pickle
from prerank.errors import InputError


@pytest.fixture
def read(tmp_path):
    """A function that reads the bytes of a pickle."""

    def read_bytes(content, **options):
        (tmp_path / "a.pkl").write_bytes(content)
        return read_pickle(tmp_path / "a.pkl", **options)

    return read_bytes


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_containers_and_arrays_are_read_as_they_were(read, protocol):
    shared = np.arange(6, dtype=np.int64).reshape(2, 3)
    value = {
        np.int64(7): shared,
        8: [shared, np.asfortranarray(shared * 2), np.array([1.5, np.nan], np.float32)],
        "é": (None, True, -1, 2.5, b"\xff", np.zeros((0, 10), np.int32), np.array(5, ">i2")),
        "more": {"set": {1, 2}, "ordered": collections.OrderedDict(a=np.array([True, False]))},
    }
    found = read(pickle.dumps(value, protocol))
    assert list(found) == [7, 8, "é", "more"]
    assert all(type(key) in (int, str) for key in found)
    np.testing.assert_array_equal(found[7], shared)
    np.testing.assert_array_equal(found[8][1], shared * 2)
    np.testing.assert_array_equal(found[8][2], np.array([1.5, np.nan], np.float32))
    assert [array.dtype for array in found[8]] == [np.int64, np.int64, np.float32]
    assert found["é"][:5] == (None, True, -1, 2.5, b"\xff")
    assert found["é"][5].shape == (0, 10)
    assert found["é"][6] == 5
    assert found["more"]["set"] == {1, 2}
    assert found["more"]["ordered"]["a"].tolist() == [True, False]


def test_a_list_that_holds_itself_ends(read):
    value = [np.arange(2)]
    value.append(value)
    found = read(pickle.dumps(value))
    assert found[1] is found
    assert found[0].tolist() == [0, 1]


def test_tuples_within_tuples_end(read):
    nested = (np.arange(2), 1)
    for _ in range(60):
        nested = (nested, nested)
    found = read(pickle.dumps([nested]))[0]
    for _ in range(60):
        assert found[0] is found[1]
        found = found[0]
    assert found[0].tolist() == [0, 1]


def test_tuples_within_tuples_are_not_hashed_nor_written_out(read):
    pair = b"(I0\nI0\nt" + b"2\x86" * 60  # 60 times: what is on top twice, as a tuple
    for content in (
        b"}" + pair + b"Ns.",  # an item of a dict
        b"}(" + pair + b"Nu.",
        b"(" + pair + b"Nd.",
        b"\x8f(" + pair + b"\x90.",  # an element of a set
        b"(" + pair + b"\x91.",
        global_of("builtins", "set") + b"(" + pair + b"l\x85R.",
        global_of("builtins", "frozenset") + b"(" + pair + b"l\x85R.",
        global_of("collections", "OrderedDict") + b"((" + pair + b"Ntl\x85R.",
    ):
        with pytest.raises(InputError, match="a key of tuple: only plain values and flat tuples"):
            read(b"\x80\x04" + content)
    dtype = global_of("numpy", "dtype")
    for content in (
        dtype + pair + b"\x85R.",  # what a message would write out
        dtype + b"\x8c\x02i8\x85R(K\x03" + pair + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb.",
        global_of("numpy.core.numeric", "_frombuffer")
        + b"(C\x01b"
        + dtype
        + b"\x8c\x02i1\x85R"
        + pair
        + b"\x8c\x01CtR.",
        global_of("_codecs", "encode") + b"\x8c\x01a" + pair + b"\x86R.",
    ):
        with pytest.raises(InputError):
            read(b"\x80\x04" + content)
    assert read(pickle.dumps({(1, "a"): 2, None: {(3.5, b"x")}})) == {(1, "a"): 2, None: {(3.5, b"x")}}


class Calls:
    """Calls something when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_a_pickle_that_calls_the_system_is_refused_and_nothing_runs(read, tmp_path):
    mark = tmp_path / "ran"
    for call in (
        Calls(os.system, f"touch {mark}"),
        Calls(subprocess.check_output, ["touch", str(mark)]),
        Calls(eval, f"open({str(mark)!r}, 'w')"),
        Calls(getattr, "text", "upper"),
        Calls(open, str(mark), "w"),
    ):
        for value in (call, {1: np.arange(3), 2: [call]}, {call: 1} if call.__hash__ else call):
            with pytest.raises(InputError, match=r"a\.pkl: the pickle names .*: only plain containers and NumPy"):
                read(pickle.dumps(value))
    assert not mark.exists()


@pytest.mark.parametrize(
    "value",
    [
        datetime.date(2024, 1, 13),
        np.array([{"a": 1}], object),
        np.array(["text"]),
        np.zeros(2, [("a", "i4")]),
        np.array(["2024-01-13"], "datetime64[D]"),
        np.ma.masked_array([1, 2], [True, False]),
        np.ndarray,
        np.dtype("i8"),
        {np.dtype("i8"): 1},
        range(3),
        ValueError("x"),
        os.system,
        collections.Counter("ab"),
    ],
    ids=str,
)
def test_what_is_no_plain_value_is_refused(read, value):
    with pytest.raises(InputError, match="only (plain|arrays)"):
        read(pickle.dumps(value))


def global_of(module, name):
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def test_stand_ins_cannot_be_changed_or_misused(read):
    reconstruct = global_of("numpy.core.multiarray", "_reconstruct")
    array, dtype = global_of("numpy", "ndarray"), global_of("numpy", "dtype")
    for content in (
        reconstruct + b"(N}\x8c\x08__code__Nstb.",  # state for a function
        reconstruct + b"N}\x8c\x05_makeK\x01s\x86b.",
        array + b")\x81.",  # a new object of a class
        array + b")R.",
        dtype + b"(\x8c\x03O16tR.",
        dtype + b"(\x8c\x02i8tR(K\x03\x8c\x01<N\x8c\x01aNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb.",
        reconstruct + array + b"K\x00\x85\x43\x01b\x87R.",  # an array without content
        reconstruct + b"K\x00K\x00\x43\x01b\x87R.",
        b"\x8c\x05outerP.",
        b"Pouter\n.",
        b"\x82\x01.",
    ):
        with pytest.raises(InputError):
            read(b"\x80\x04" + content)
    assert read(pickle.dumps(np.arange(3))).tolist() == [0, 1, 2]


def test_a_state_for_an_array_of_a_buffer_does_not_reach_numpy(read, monkeypatch):
    content = pickle.dumps(np.arange(3, dtype=np.int64), 5)
    assert b"_frombuffer" in content
    state = b"K\x01K\x03\x85" + global_of("numpy", "dtype") + b"\x8c\x02i8\x85R" + b"\x89C\x08" + bytes(8)
    with pytest.raises(InputError, match=r"8 bytes do not fit the shape \(3,\)"):
        read(content[:-1] + b"(" + state + b"tb.")
    # NumPy itself would read the state of an array of this version, and of any shape that the state says
    assert read(content[:-1] + b"(" + state.replace(b"K\x03\x85", b"K\x01\x85") + b"tb.").tolist() == [0]


def test_damaged_bytes_are_refused(read):
    whole = pickle.dumps({1: np.arange(40), "a": [1.5, "text"]})
    for end in range(len(whole)):
        with pytest.raises(InputError):
            read(whole[:end])
    random = np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 3):
            damaged[place] = random.integers(0, 256)
        with contextlib.suppress(InputError):  # by luck it may still be a pickle of numbers
            read(bytes(damaged))


def test_an_array_has_the_bytes_that_its_shape_says(read):
    whole = pickle.dumps(np.arange(1000, dtype=np.int64), 4)
    with pytest.raises(InputError, match="8000 bytes do not fit the shape"):
        read(whole.replace(b"M\xe8\x03\x85", b"M\xe8\x04\x85"))
    huge = io.BytesIO()
    huge.write(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60))
    with pytest.raises(InputError):
        read(huge.getvalue())
    with pytest.raises(InputError):
        read(b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"abc.")
    assert read(pickle.dumps(bytearray(b"abc"), 5)) == b"abc"


def test_size_and_kind_of_the_file_have_bounds(read, tmp_path):
    content = pickle.dumps(list(range(100)))
    assert read(content, most=len(content)) == list(range(100))
    with pytest.raises(InputError, match=f"at most {len(content) - 1} bytes expected. Received: {len(content)}"):
        read(content, most=len(content) - 1)
    with pytest.raises(InputError, match="none.pkl: cannot be read"):
        read_pickle(tmp_path / "none.pkl")
    with pytest.raises(InputError, match="cannot be read"):
        read_pickle(tmp_path)
