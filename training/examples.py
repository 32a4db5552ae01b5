"""Rows of the test part in the spelling of the raw files, to go with an exported model."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features import MISSING, RESERVED, UNLABELLED, Field
from preprocess.prepared import PreparedData
from training.spec import without

_UNSEEN = {"int64": -2, "string": "\N{REPLACEMENT CHARACTER}"}
"""Stands for a value that training never saw, whose spelling the prepared data do not keep."""


def examples(data: PreparedData, count: int) -> bytes:
    """A Parquet file of about `count` rows, evenly spread over the test part: every feature, and the label 0 or 1.

    Rows whose item training never saw are left out. So are rows without a label, and privileged fields.
    """
    table = pa.concat_tables(list(_sampled(data, count)))
    known = np.asarray(table[data.spec.item_id]) >= RESERVED
    rated = np.asarray(table[data.spec.label]) != UNLABELLED
    table = table.filter(pa.array(known & rated))
    fields = without(data.spec, data.spec.privileged).fields
    columns = {field.name: _raw(field, table[field.name].combine_chunks(), data) for field in fields}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({**columns, data.spec.label: table[data.spec.label]}), sink)
    return sink.getvalue().to_pybytes()


def _sampled(data: PreparedData, count: int) -> Iterator[pa.Table]:
    names = [*(field.name for field in data.spec.fields), data.spec.label]
    stride = max(data.rows("test") // count, 1)
    for path in data.parts("test"):
        for batch in pq.ParquetFile(path).iter_batches(columns=names):
            yield pa.table(batch).take(np.arange(0, len(batch), stride))


def _raw(field: Field, column: pa.Array, data: PreparedData) -> pa.Array:
    if field.kind == "dense":
        return column
    if field.kind == "sequence":
        return pa.ListArray.from_arrays(column.offsets, _spelt(field, column.values, data))
    return _spelt(field, column, data)


def _spelt(field: Field, indices: pa.Array, data: PreparedData) -> pa.Array:
    values = data.vocabulary(field.vocabulary)
    reserved = np.empty(RESERVED, values.dtype)
    reserved[:] = _UNSEEN[field.raw_type]
    reserved[MISSING] = "" if field.raw_type == "string" else -1
    return pa.array(np.concatenate([reserved, values])[np.asarray(indices)])
