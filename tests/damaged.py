"""Damaged and hostile files, and what a reader may make of them: one short line, soon, and never a traceback."""

import copy
import json
import time
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prerank.errors import InputError

EXAMPLES = [100, pytest.param(2000, marks=pytest.mark.slow)]
_MOST_CPU_SECONDS = 2


def nested(depth, leaf=0):
    for _ in range(depth):
        leaf = [leaf] if depth % 2 else {"a": leaf}
    return leaf


ODD = [
    None, True, False, 0, 1, -1, 2, 2**31, 2**32, 2**63, -(2**63) - 1, 10**30, 10**150, 0.5, -0.0, 1e308, 1e-320,
    float("nan"), float("inf"), "", " ", ".", "..", "../../x", "/etc/passwd", "a/b", "a\\b", "a\0b", "x" * 300,
    "y" * 5000, "\u2028", "\x1b[31m", "\ud800", "é", "nan", "1_0", "0x1F", "5", " 5", "_env_file", "__class__",
    "item_id", [], {}, [[]], [None], {"": 0}, {"a": {}}, ["a", 1, None], [1] * 50, nested(40), nested(41), nested(90),
]  # fmt: skip
"""Values that no field expects, or that some field should not take."""
ODD_TEXTS = [value for value in ODD if isinstance(value, str)]


@st.composite
def mutated(draw, tree):
    """A JSON tree with one to three places changed, removed, added or renamed."""
    tree = {"": copy.deepcopy(tree)}
    for _ in range(draw(st.integers(1, 3))):
        holder, key = tree, ""
        while isinstance(holder[key], dict | list) and holder[key] and draw(st.integers(0, 3)):
            holder = holder[key]
            key = draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
        action = draw(st.sampled_from(["replace", "replace", "remove", "add", "rename"]))
        odd = copy.deepcopy(draw(st.sampled_from(ODD)))
        if action == "add" and isinstance(holder[key], list):
            holder[key].append(odd if draw(st.booleans()) else copy.deepcopy((holder[key] or [odd])[0]))
        elif action == "add" and isinstance(holder[key], dict):
            holder[key][draw(st.sampled_from(ODD_TEXTS))] = odd
        elif action == "remove" and holder is not tree:
            del holder[key]
        elif action == "rename" and isinstance(holder, dict) and holder is not tree:
            holder[draw(st.sampled_from(ODD_TEXTS))] = holder.pop(key)
        else:
            holder[key] = odd
    return tree[""]


_PIECES = [b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b'"', b"[", b"{", b"}", b",", b"\n", b"&a ", b"*a",
           b"!!int ", b"? ", b"- ", b"nan", b"9" * 5000,
           b"1e999", b"[" * 3000, b"\\ud800", b"\\u0000", b"\x1b[31m"]  # fmt: skip
_WHOLE = [b"", b"null", b"[]", b"{}", b'""', b"0", b"true", b"[" * 100_000, b'{"a":' * 20_000,
          b"[[" * 500 + b"]]" * 500, b"\0" * 1000, b"\xff\xfe\0\0", b"a: &a [*a]", b"- " * 5000, b"\n" * 9999,
          b'"' + b"x" * 100_000 + b'"']  # fmt: skip


@st.composite
def damaged_bytes(draw, data):
    """Bytes cut short, with a bit flipped or something put in, or something else altogether."""
    kind = draw(st.sampled_from(["cut", "flip", "flip", "insert", "whole"]))
    place = draw(st.integers(0, max(len(data) - 1, 0)))
    if kind == "whole" or not data:
        return draw(st.sampled_from(_WHOLE))
    if kind == "cut":
        return data[:place]
    if kind == "insert":
        return data[:place] + draw(st.sampled_from(_PIECES)) + data[place:]
    flipped = bytearray(data)
    flipped[place] ^= 1 << draw(st.integers(0, 7))
    return bytes(flipped)


def damaged_json(tree, dump=json.dumps):
    """A JSON file of the tree, damaged in either way."""
    texts = mutated(tree).map(lambda found: dump(found).encode("utf-8", "surrogatepass"))
    return st.one_of(texts, texts, damaged_bytes(dump(tree).encode()))


def survives(strategy, read, examples, refused=True):
    """Let `read` take what `strategy` makes, and see that it ends at once: by itself, or by one short line."""
    seen = Counter()

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(strategy)
    def check(damaged):
        begun, message = time.process_time(), ""
        try:
            read(damaged)
            seen["taken"] += 1
        except InputError as error:
            seen["refused"] += 1
            message = str(error)
        assert len(message) <= 500
        assert message.isprintable() or not message, repr(message)
        assert time.process_time() - begun < _MOST_CPU_SECONDS

    check()
    assert not refused or seen["refused"] > examples / 10, seen
    return seen
