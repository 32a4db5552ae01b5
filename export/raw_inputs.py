"""Raw values to model inputs, inside the graph: vocabularies, missing values, scaling."""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from features import MISSING, RESERVED, UNSEEN, FeatureSpec, Field
from prerank import hashed_ids
from prerank.values import MISSING_INTEGER, MISSING_TEXT

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
        self._spec = spec
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
        raw = last_values(self._spec, raw, _missing)
        return {field.name: self._encode(field, raw[field.name]) for field in self._spec.fields if field.name in raw}

    def _encode(self, field: Field, raw: tf.Tensor) -> tf.Tensor:
        if field.kind == "dense":
            # In 64 bits, as training does: numbers may be large and vary by little.
            value = tf.cast(raw, tf.float64)
            missing = tf.math.is_nan(value) | (value == MISSING_INTEGER)
            value = tf.where(missing, tf.constant(np.float32(field.default), tf.float64), value)
            return tf.cast((value - field.mean) / field.scale, tf.float32)
        missing = tf.equal(raw, _missing(raw.dtype))
        index = _hashed(raw, field.hash_buckets) if field.hash_buckets else self._tables[field.vocabulary].lookup(raw)
        return tf.cast(tf.where(missing, tf.constant(MISSING, index.dtype), index), tf.int32)


def last_values(
    spec: FeatureSpec, inputs: Mapping[str, tf.Tensor], missing: Callable[[tf.DType], tf.Tensor]
) -> dict[str, tf.Tensor]:
    """Inputs, raw or as indices, with the last values only of the sequences that have a limit.

    Behaviours go together, element by element: the longest of a row is the length of all.

    Args:
        spec: says which have one.
        inputs: by field name; sequences (B, L), padded on the right.
        missing: what a sequence of this type is padded with.
    """
    found = {field.name: inputs[field.name] for field in spec.fields if field.name in inputs}
    limited = [spec[name] for name in found if spec[name].limit]
    lengths = {field.name: _lengths(found[field.name], missing(found[field.name].dtype)) for field in limited}
    if together := [field.name for field in limited if field.name in spec.behaviours]:
        longest = tf.reduce_max(tf.stack([lengths[name] for name in together]), axis=0)
        size = tf.reduce_max(tf.stack([tf.shape(found[name])[1] for name in together]))
        for name in together:
            lengths[name], found[name] = longest, _padded(found[name], size, missing(found[name].dtype))
    for field in limited:
        found[field.name] = _last(found[field.name], lengths[field.name], field.limit)
    return found


def _lengths(values: tf.Tensor, missing: tf.Tensor) -> tf.Tensor:
    """Lengths (B,) int32 of sequences (B, L)."""
    filled = tf.cast(tf.not_equal(values, missing), tf.int32)
    return tf.maximum(tf.reduce_max(filled * tf.range(1, tf.shape(values)[1] + 1), axis=1), 0)


def _padded(values: tf.Tensor, size: tf.Tensor, missing: tf.Tensor) -> tf.Tensor:
    """Sequences (B, `size`) with padding on the right."""
    rows, length = tf.unstack(tf.shape(values))
    return tf.concat([values, tf.fill([rows, size - length], missing)], axis=1)


def _last(values: tf.Tensor, lengths: tf.Tensor, limit: int) -> tf.Tensor:
    """The last values (B, at most `limit`) of sequences (B, L) of some lengths."""
    starts = tf.maximum(lengths - limit, 0)
    places = starts[:, tf.newaxis] + tf.range(tf.minimum(tf.shape(values)[1], limit))
    return tf.gather(values, places, batch_dims=1)


def _missing(dtype: tf.DType) -> tf.Tensor:
    return tf.constant(MISSING_TEXT if dtype == tf.string else MISSING_INTEGER, dtype)


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
