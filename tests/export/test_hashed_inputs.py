"""Hashed ids inside the graph, outside of it, and as the preparation has them."""

import json

import numpy as np
import pytest
import tensorflow as tf

from export.raw_inputs import RawInputs
from features import MISSING, RESERVED, FeatureSpec, Field
from prerank import hashed_ids
from prerank.encoding import Indexer

BUCKETS = 50
SPEC = FeatureSpec(
    "small",
    (
        Field("user_id", "user", "sparse", "int64", "user_id", BUCKETS + RESERVED, hash_buckets=BUCKETS),
        Field("hist", "user", "sequence", "string", "asin", BUCKETS + RESERVED, 3, BUCKETS),
        Field("asin", "item", "sparse", "string", "asin", BUCKETS + RESERVED, hash_buckets=BUCKETS),
    ),
    user_id="user_id",
    item_id="asin",
    user_static=("user_id",),
    item_static=("asin",),
    history="hist",
)
RAW = {
    "user_id": [0, -2, 123_456_789_012, -(2**63), -1],
    "hist": [["a", "B00", ""], ["", "", ""], ["long" * 40, "x", ""], ["caf\u00e9", "a", "a"], ["b", "", ""]],
    "asin": ["B00", "a", "x", "", "caf\u00e9"],
}


def bucket(value):
    if value in (-1, ""):
        return MISSING
    if isinstance(value, str):
        value = sum(ord(letter) * factor for letter, factor in zip(value, hashed_ids.COEFFICIENTS, strict=False))
    return RESERVED + hashed_ids.hashed(value) % BUCKETS


def expected(values):
    return [expected(value) if isinstance(value, list) else bucket(value) for value in values]


def test_in_the_graph():
    encode = tf.function(RawInputs(SPEC, {}).encode)
    found = encode({name: tf.constant(values, SPEC[name].raw_type) for name, values in RAW.items()})
    for name, values in RAW.items():
        assert found[name].dtype == tf.int32
        assert found[name].numpy().tolist() == expected(values), name
    assert encode({"hist": tf.constant([[], []], tf.string)})["hist"].shape == (2, 0)


def test_outside_of_the_graph(tmp_path):
    inputs = [
        {"name": field.name, "kind": field.kind, "dtype": field.raw_type, "vocabulary": field.vocabulary,
         "hash_buckets": field.hash_buckets, "missing": "" if field.raw_type == "string" else -1}
        for field in SPEC.fields
    ]  # fmt: skip
    described = {"format": "onnx", "inputs": inputs, "reserved": {"missing": 0, "unseen": 1, "first": 2}}
    described["specification"] = SPEC.to_dict()
    (tmp_path / "features.json").write_text(json.dumps(described))
    (tmp_path / "vocabularies.json").write_text("{}")
    found = Indexer(tmp_path).encode(RAW)
    for name, values in RAW.items():
        np.testing.assert_array_equal(found[name], expected(values), err_msg=name)
        assert found[name].dtype == np.int32


def test_more_ids_than_buckets_share_them():
    buckets = [bucket(value) for value in range(1000)]
    assert set(buckets) == set(range(RESERVED, BUCKETS + RESERVED))
    assert buckets == pytest.approx(expected(list(range(1000))))
