"""A side's features as vectors of one size, for models that attend over them."""

import tensorflow as tf

from layers import NumberEmbedding
from models.inputs import EncodedSide


def field_tokens(encoded: EncodedSide, numbers: NumberEmbedding) -> tuple[tf.Tensor, tf.Tensor]:
    """Every field, element of a kept sequence and number of a side as a vector.

    Args:
        encoded: the embedded features; a sequence kept element by element counts by its elements, not by their mean.
        numbers: turns the side's numbers into vectors.

    Returns:
        The vectors (B, T, E), and (B, T), true for one that exists, that is no padding of a sequence.
    """
    fields = [field[:, tf.newaxis, :] for name, field in encoded.fields.items() if name not in encoded.sequences]
    if encoded.dense:
        fields.append(numbers(tf.concat(list(encoded.dense.values()), axis=-1)))
    parts = [tf.concat(fields, axis=1)] if fields else []
    masks = [tf.ones(tf.shape(part)[:2], tf.bool) for part in parts]
    return (
        tf.concat([*parts, *encoded.sequences.values()], axis=1),
        tf.concat([*masks, *encoded.masks.values()], axis=1),
    )
