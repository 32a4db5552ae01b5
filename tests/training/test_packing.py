"""Rows packed into two arrays and taken apart again are the rows, whatever they hold."""

import dataclasses

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from support import SPEC

from features import UNLABELLED
from training.packing import Layout

_DENSE = {"user_mean_rating": (0.25, 0.5), "item_mean_rating": (-3.0, 2.0)}
FIELDS = tuple(
    dataclasses.replace(field, mean=_DENSE[field.name][0], scale=_DENSE[field.name][1])
    if field.kind == "dense"
    else field
    for field in SPEC.fields
)


@st.composite
def tables(draw):
    """Rows as the preparation writes them: ids, lists of ids, numbers of 64 bits, and labels or none."""
    count = draw(st.integers(0, 6))

    def column(field):
        ids = st.integers(0, field.vocabulary_size - 1)
        if field.kind == "sparse":
            return pa.array(draw(st.lists(ids, min_size=count, max_size=count)), pa.int32())
        if field.kind == "sequence":
            lists = st.lists(st.lists(ids, max_size=field.max_length), min_size=count, max_size=count)
            return pa.array(draw(lists), pa.list_(pa.int32()))
        numbers = st.floats(-1e6, 1e6)
        return pa.array(draw(st.lists(numbers, min_size=count, max_size=count)), pa.float64())

    labels = st.lists(st.sampled_from([0, 1, UNLABELLED]), min_size=count, max_size=count)
    found = {field.name: column(field) for field in FIELDS} | {"label": pa.array(draw(labels), pa.int8())}
    whole = pa.table(found)
    cut = draw(st.integers(0, count))
    return pa.concat_tables([whole.slice(0, cut), whole.slice(cut)])  # several chunks, with offsets


@settings(max_examples=80, deadline=None)
@given(tables(), st.sets(st.sampled_from([field.name for field in FIELDS])))
def test_what_is_packed_is_what_is_unpacked(table, names):
    layout = Layout.of(FIELDS, "label")
    integers, floats = layout.pack(table)
    assert (integers.dtype, floats.dtype) == (np.int32, np.float32)
    assert integers.shape == (len(table), layout.width) == (len(table), 1 + 1 + 1 + 6 + 1 + 3)
    fields, labels = layout.unpack(integers, floats)
    rows = table.to_pylist()
    np.testing.assert_array_equal(labels, [np.nan if row["label"] == UNLABELLED else row["label"] for row in rows])
    assert list(fields) == layout.names
    _check(fields, rows, FIELDS)
    some = layout.restrict(names)
    chosen = [field for field in FIELDS if field.name in names]
    assert set(some.names) == names
    found, again = some.unpack(*some.pack(table))
    _check(found, rows, chosen)
    np.testing.assert_array_equal(again, labels)


def _check(found, rows, fields):
    for field in fields:
        values = found[field.name].tolist()
        if field.kind == "dense":
            expected = [(float(np.float32(row[field.name])) - field.mean) / field.scale for row in rows]
            np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-6)
        elif field.kind == "sparse":
            assert values == [row[field.name] for row in rows]
        else:
            assert values == [row[field.name] + [0] * (field.max_length - len(row[field.name])) for row in rows]
