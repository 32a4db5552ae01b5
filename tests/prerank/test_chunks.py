"""Every kernel and storage type against the plain formula, on more items than are scored at a time."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prerank.fallback import ExportedScorer
from prerank.index import ItemStates
from prerank.kernels import _KERNELS, _MIXTURES, make_kernel
from prerank.lookup import lookup_of
from prerank.snapshot import Snapshot
from prerank.storage import StoredArray


class Sizes(NamedTuple):
    """How wide vectors are, and how many there are of what."""

    width: int = 6
    user_heads: int = 2
    item_heads: int = 3
    queries: int = 4
    hidden: int = 5


SCALE, BIAS = 1.5, 0.25
TOLERANCE = {"float32": 2e-5, "float16": 0.02, "int8": 0.15}
ONE_VECTOR = ("cosine", "dot")
HEADS = ("fully_connected", "lss", "max_sim", "mixture")


def _weights(random, kind, sizes):
    width, users, items, queries, hidden = sizes
    inner = kind.split("/")[-1]
    weights = {"scale": np.float32(SCALE), "bias": np.float32(BIAS)}
    if inner == "fully_connected":
        weights |= {"output_kernel": random.normal(size=(users * items, 1)), "output_bias": np.ones(1)}
    if inner == "lss":
        weights |= {
            "rows_kernel": random.normal(size=(items, hidden)), "rows_bias": random.normal(size=hidden),
            "columns_kernel": random.normal(size=(users, hidden)), "columns_bias": random.normal(size=hidden),
            "output_kernel": random.normal(size=(hidden * hidden, 1)) / hidden, "output_bias": np.ones(1),
        }  # fmt: skip
    if inner == "mixture":
        pairs = users * items
        weights |= {
            "hidden_kernel": random.normal(size=(pairs, hidden)), "hidden_bias": random.normal(size=hidden),
            "output_kernel": random.normal(size=(hidden, pairs)), "output_bias": random.normal(size=pairs),
        }  # fmt: skip
    if kind.startswith("gate"):
        weights["keys"] = random.normal(size=(queries, width))
    return {name: np.asarray(value, np.float32) for name, value in weights.items()}


def _norm(vector):
    return max(np.linalg.norm(vector), 1e-3)


def _cosine(left, right):
    return left @ right / (_norm(left) * _norm(right))


def _softmax(values):
    return np.exp(values) / np.exp(values).sum()


def _plain(kind, weights, user, item):
    """A kernel's formula for one user and one item, in float64."""
    outer, _, inner = kind.rpartition("/")
    similarity = _cosine if inner == "cosine" else np.dot
    if outer == "meta_query":
        return _plain(inner, weights, _by_name(lambda states: states[item["query"]], user), item)
    vector, heads = item["vector"], item["heads"]
    if outer == "gate":
        user = _softmax(weights["keys"] @ vector / np.sqrt(len(vector))) @ user
    if outer == "attention":
        user = _softmax(user @ vector) @ user
    if inner == "additive":
        return float(user + item["number"] + BIAS)
    if inner in ONE_VECTOR:
        return SCALE * similarity(user, vector) + BIAS
    if inner == "max_interest":
        return SCALE * max(interest @ vector for interest in user) + BIAS
    if inner == "mixture":
        logits = SCALE * (user["user_heads"] @ heads.T).reshape(-1)  # (H_u · H_v,)
        hidden = _silu(logits @ weights["hidden_kernel"] + weights["hidden_bias"])
        gates = user["user_gate"] * item["gate"] + hidden @ weights["output_kernel"] + weights["output_bias"]
        return _softmax(_silu(gates)) @ logits + BIAS
    products = user @ heads.T  # (H_u, H_v)
    if inner == "max_sim":
        return SCALE * sum(max(row) for row in products) + BIAS
    if inner == "lss":
        rows = np.maximum(SCALE * products @ weights["rows_kernel"] + weights["rows_bias"], 0)
        columns = np.maximum(rows.T @ weights["columns_kernel"] + weights["columns_bias"], 0)
        return columns.reshape(-1) @ weights["output_kernel"][:, 0] + weights["output_bias"][0] + BIAS
    return SCALE * products.reshape(-1) @ weights["output_kernel"][:, 0] + weights["output_bias"][0] + BIAS


def _silu(values):
    return values / (1 + np.exp(-values))


def _by_name(change, user):
    """A user of several states, each changed; of one, that."""
    return {name: change(state) for name, state in user.items()} if isinstance(user, dict) else change(user)


def _prepared(kernel, user):
    states = _by_name(np.float32, user)
    return kernel.prepare(states if isinstance(states, dict) else {"user_state": states})


def _states(random, kind, count, sizes):
    """Users and items as the towers give them, and the items' parts for the plain formula."""
    width, user_heads, item_heads, queries, _ = sizes
    outer, _, inner = kind.rpartition("/")
    items = {
        "number": random.normal(size=count), "vector": random.normal(size=(count, width)),
        "heads": random.normal(size=(count, item_heads, width)) / 2, "query": random.integers(0, queries, count),
        "gate": random.normal(size=(count, user_heads * item_heads)),
    }  # fmt: skip
    if inner in HEADS:
        user, used = random.normal(size=(user_heads, width)), "heads"
    else:
        used = "number" if inner == "additive" else "vector"
        user = random.normal() if inner == "additive" else random.normal(size=width)
    if inner == "max_interest" or outer in ("gate", "attention"):
        user = random.normal(size=(queries, width))
    state = {"item_state": items[used].astype(np.float32)}
    if inner == "mixture":
        user = {"user_heads": user, "user_gate": random.normal(size=user_heads * item_heads)}
        state = {f"item_{name}": items[name].astype(np.float32) for name in ("heads", "gate")}
    if outer == "meta_query":
        user = _by_name(lambda states: random.normal(size=(queries, *states.shape)), user)
        items["query"].sort()  # as an index keeps them
        state["item_meta_index"] = items["query"].astype(np.int32)
    return user, state, [{name: values[row] for name, values in items.items()} for row in range(count)]


KINDS = [
    *(kind for kind in _KERNELS),
    *(f"meta_query/{kind}" for kind in _KERNELS if kind in (*HEADS, "dot")),
    *(f"{kind}/{inner}" for kind in _MIXTURES for inner in ONE_VECTOR),
]
CHUNKS = {"7": (7, 60), "5000": (5000, 10_003), "its own": (None, None)}


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_many_chunks_are_those_of_the_plain_formula(kind, chunk, monkeypatch):
    random = np.random.default_rng(3)
    weights = _weights(random, kind, Sizes())
    kernel = make_kernel(kind, weights)
    length, count = CHUNKS[chunk]
    if length is not None:
        monkeypatch.setattr(kernel, "chunk", length)
        if kind.startswith("meta_query"):
            monkeypatch.setattr(kernel._heads, "chunk", length)
    count = count or 2 * kernel.chunk + 3
    user, state, items = _states(random, kind, count, Sizes())
    checked = np.unique([0, count - 1, *random.integers(0, count, 200), *_edges(kernel.chunk, count)])
    expected = np.array([_plain(kind, weights, user, items[row]) for row in checked])
    assert np.std(expected) > 0.1, "a difference would not be noticed"

    prepared = _prepared(kernel, user)
    ids, arranged = np.arange(count) * 3, kernel.arrange(state)
    shuffled = random.permutation(count)
    for dtype, tolerance in TOLERANCE.items():
        arrays = {name: StoredArray.encode(array, dtype) for name, array in arranged.items()}
        snapshot = Snapshot("", (0, 0), ItemStates(ids, arrays, dtype), lookup_of(ids))
        whole = snapshot.score(kernel, prepared)
        assert (whole.dtype, whole.shape) == (np.float32, (count,))
        limit = tolerance * max(1, np.std(expected))
        np.testing.assert_allclose(whole[checked], expected, rtol=0, atol=limit)
        some = snapshot.score(kernel, prepared, shuffled)
        np.testing.assert_allclose(some[np.argsort(shuffled)][checked], expected, rtol=0, atol=limit)


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    sizes=st.builds(Sizes, *(st.integers(1, most) for most in (9, 3, 3, 5, 4))),
    chunk=st.integers(1, 12),
    count=st.integers(1, 40),
    dtype=st.sampled_from(list(TOLERANCE)),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_any_shape_type_chunk_and_order_gives_the_plain_formula(kind, sizes, chunk, count, dtype, seed, data):
    """In float32 the plain formula; in fewer bits, whose own error is for `test_storage`, what one piece gives."""
    random = np.random.default_rng(seed)
    weights = _weights(random, kind, sizes)
    kernel, in_one_piece = make_kernel(kind, weights), make_kernel(kind, weights)
    kernel.chunk = chunk
    if kind.startswith("meta_query"):
        kernel._heads.chunk = chunk
    user, state, items = _states(random, kind, count, sizes)
    prepared, arranged, ids = _prepared(kernel, user), kernel.arrange(state), np.arange(count)

    def stored(dtype):
        arrays = {name: StoredArray.encode(array, dtype) for name, array in arranged.items()}
        return Snapshot("", (0, 0), ItemStates(ids, arrays, dtype), lookup_of(ids))

    expected = [_plain(kind, weights, user, item) for item in items]
    np.testing.assert_allclose(stored("float32").score(kernel, prepared), expected, rtol=3e-4, atol=3e-4)
    arrays = stored(dtype).states.arrays
    at_once = in_one_piece.score(prepared, {name: array.read(slice(0, count)) for name, array in arrays.items()})
    places = np.array(data.draw(st.lists(st.integers(0, count - 1), max_size=30)), np.int64)
    np.testing.assert_allclose(stored(dtype).score(kernel, prepared), at_once, rtol=3e-4, atol=3e-4)
    np.testing.assert_allclose(stored(dtype).score(kernel, prepared, places), at_once[places], rtol=3e-4, atol=3e-4)


def _edges(chunk, count):
    """The first and the last items of chunks."""
    starts = np.arange(0, count, chunk)[:50]
    return np.clip([*starts, *(starts - 1)], 0, count - 1).tolist()


@pytest.mark.parametrize("chunk", [7, 5000])
def test_the_exports_own_scorer_in_chunks(chunk):
    random = np.random.default_rng(4)
    shapes = {
        "user_tower": {"user_a": [None, 4]},
        "item_tower": {"item_a": [None, 2, 4], "item_b": [None, 1]},
        "score": {"logit": [None], "probability": [None]},
    }

    def score(values):
        user, heads, offset = values
        return {"logit": (heads @ user[0]).sum(axis=1) + offset[:, 0]}

    kernel = ExportedScorer(score, shapes)
    kernel.chunk, count = chunk, 2 * chunk + 3
    heads = random.normal(size=(count, 2, 4)).astype(np.float32)
    offsets = random.normal(size=(count, 1)).astype(np.float32)
    user = random.normal(size=4).astype(np.float32)
    expected = [
        float(user @ one + user @ other) + float(added[0]) for (one, other), added in zip(heads, offsets, strict=True)
    ]
    arranged = kernel.arrange({"item_a": heads, "item_b": offsets})
    for dtype, tolerance in TOLERANCE.items():
        arrays = {name: StoredArray.encode(array, dtype) for name, array in arranged.items()}
        ids = np.arange(count)
        found = Snapshot("", (0, 0), ItemStates(ids, arrays, dtype), lookup_of(ids)).score(
            kernel, kernel.prepare({"user_a": user})
        )
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
