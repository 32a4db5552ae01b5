"""Raw values to model inputs, inside the graph: vocabularies, missing values, scaling."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from features import MISSING, RESERVED, UNSEEN, FeatureSpec, Field
from prerank import hashed_ids

_DTYPES = {"int64": tf.int64, "string": tf.string, "float32": tf.float32}


def tensor_spec(field: Field) -> tf.TensorSpec:
    """The raw input of a field: (B,), or (B, L) for a sequence of any length L."""
    shape = [None, None] if field.kind == "sequence" else [None]
    return tf.TensorSpec(shape, _DTYPES[field.raw_type], name=field.name)


class RawInputs(tf.Module):
    """Turns values spelt as in the raw files into what a model takes.

    Args:
        spec: the data set's feature specification.
        vocabularies: values of each vocabulary, by name; the value at position i has index i + RESERVED. Those of
            hashed fields are not used.

    Raises:
        ValueError: a vocabulary's length differs from what `spec` says.
    """

    def __init__(self, spec: FeatureSpec, vocabularies: Mapping[str, np.ndarray]):
        super().__init__()
        self._fields = spec.fields
        self._tables: dict[str, tf.lookup.StaticHashTable] = {}
        for field in spec.fields:
            if field.vocabulary and not field.hash_buckets and field.vocabulary not in self._tables:
                values = vocabularies[field.vocabulary]
                if len(values) + RESERVED != field.vocabulary_size:
                    raise ValueError(
                        f"vocabulary {field.vocabulary!r} must have {field.vocabulary_size - RESERVED} values. "
                        f"Received: {len(values)}"
                    )
                self._tables[field.vocabulary] = _table(values, _DTYPES[field.raw_type])

    def encode(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Inputs by field name for the fields present in `raw`: int32 indices, scaled float32 numbers."""
        return {field.name: self._encode(field, raw[field.name]) for field in self._fields if field.name in raw}

    def _encode(self, field: Field, raw: tf.Tensor) -> tf.Tensor:
        if field.kind == "dense":
            value = tf.where(tf.math.is_nan(raw), tf.constant(field.default, tf.float32), raw)
            return tf.cast((tf.cast(value, tf.float64) - field.mean) / field.scale, tf.float32)
        missing = tf.equal(raw, _missing(raw.dtype))
        index = _hashed(raw, field.hash_buckets) if field.hash_buckets else self._tables[field.vocabulary].lookup(raw)
        return tf.cast(tf.where(missing, tf.constant(MISSING, index.dtype), index), tf.int32)


def _missing(dtype: tf.DType) -> tf.Tensor:
    return tf.constant("" if dtype == tf.string else -1, dtype)


def _table(values: np.ndarray, dtype: tf.DType) -> tf.lookup.StaticHashTable:
    keys = tf.constant(values.tolist() if dtype == tf.string else values, dtype)
    indices = tf.range(RESERVED, RESERVED + len(values), dtype=tf.int64)
    if not len(values):
        # a table needs a key: the missing value's is never asked for
        keys, indices = _missing(dtype)[None], tf.constant([MISSING], tf.int64)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, indices), default_value=UNSEEN)


def _hashed(raw: tf.Tensor, buckets: int) -> tf.Tensor:
    """Indices of hashed ids of any shape, int64."""
    words = _words(raw) if raw.dtype == tf.string else raw
    return hashed_ids.hashed(words) % buckets + RESERVED


def _words(texts: tf.Tensor) -> tf.Tensor:
    """Texts of any shape as the integers that are hashed, of the same shape."""
    codes = tf.strings.unicode_decode(tf.reshape(texts, [-1]), "UTF-8").to_tensor(shape=[None, hashed_ids.CHARACTERS])
    terms = tf.cast(codes, tf.int64) * tf.constant(hashed_ids.COEFFICIENTS, tf.int64)
    return tf.reshape(tf.reduce_sum(terms, axis=-1), tf.shape(texts))
