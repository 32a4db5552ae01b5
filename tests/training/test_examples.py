import io

import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf

from export.raw_inputs import RawInputs
from training.examples import examples


def test_examples_are_rows_of_the_test_part_as_the_raw_files_spell_them(prepared):
    spec = prepared.spec
    found = pq.read_table(io.BytesIO(examples(prepared, 10**6)))
    table = pq.read_table(prepared.parts("test"))
    table = table.filter(np.asarray(table[spec.item_id]) >= 2)
    assert found["label"].to_pylist() == table["label"].to_pylist()
    raw = {}
    for field in spec.fields:
        values = found[field.name].to_pylist()
        if field.kind == "sequence":
            padding = "" if field.raw_type == "string" else -1
            length = max(map(len, values))
            values = [row + [padding] * (length - len(row)) for row in values]
        raw[field.name] = tf.constant(values, field.raw_type)
    encoded = RawInputs(spec, {name: prepared.vocabulary(name) for name in spec.tables}).encode(raw)
    for field in spec.fields:
        expected = table[field.name].to_pylist()
        if field.kind == "sequence":
            assert [[index for index in row if index] for row in encoded[field.name].numpy().tolist()] == expected
        elif field.kind == "sparse":
            assert encoded[field.name].numpy().tolist() == expected


def test_fewer_examples_are_spread_over_the_part(prepared):
    found = pq.read_table(io.BytesIO(examples(prepared, 50)))
    assert 20 < len(found) < 110
