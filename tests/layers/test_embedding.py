import numpy as np
import pytest
import tensorflow as tf

from layers import FieldEmbedding
from layers.embedding import masked_mean

ROWS = {"user": 5, "item": 9, "genre": 4}
FIELDS = {"user_id": "user", "movie_id": "item", "history": "item", "genres": "genre"}
STARTS = {"user": 0, "item": 5, "genre": 14}
INPUTS = {
    "movie_id": np.array([3, 0, 8, 3], np.int32),
    "history": np.array([[3, 3, 1], [0, 0, 0], [7, 0, 0], [8, 2, 0]], np.int32),
    "user_id": np.array([4, 1, 0, 4], np.int32),
    "genres": np.array([[1, 0], [3, 2], [0, 0], [2, 2]], np.int32),
}

both = pytest.mark.parametrize("xla", [False, True])


def make(xla=False, **options):
    layer = FieldEmbedding(ROWS, FIELDS, embedding_dim=3, stddev=1.0, xla=xla, **options)
    layer.build({name: values.shape for name, values in INPUTS.items()})
    return layer


def inputs(names=INPUTS):
    return {name: tf.constant(INPUTS[name]) for name in names}


def mean(vectors, indices):
    """Mean of the vectors of filled positions, zeros if there is none."""
    filled = [vector for vector, index in zip(vectors, indices, strict=True) if index != 0]
    return np.mean(filled, axis=0) if filled else np.zeros(vectors.shape[1], np.float32)


def expected(table, keep=()):
    result = {}
    for name, indices in INPUTS.items():
        found = table[STARTS[FIELDS[name]] + indices]
        if indices.ndim == 2 and name not in keep:
            found = np.stack([mean(*row) for row in zip(found, indices, strict=True)])
        result[name] = found
    return result


def assert_equal(found, wanted):
    assert list(found) == list(wanted)
    for name in wanted:
        assert tuple(found[name].shape) == wanted[name].shape
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-5, atol=1e-6, err_msg=name)


@both
@pytest.mark.parametrize("keep", [(), ("history",), ("genres", "history")])
def test_value(xla, keep):
    layer = make(xla)
    assert tuple(layer.table.shape) == (18, 3)
    assert_equal(layer(inputs(), keep=keep), expected(np.array(layer.table), keep))


@both
def test_fields_with_one_table_share_its_rows(xla):
    layer = make(xla)
    row = layer({"movie_id": tf.constant([7])})["movie_id"]
    np.testing.assert_allclose(layer({"history": tf.constant([[7, 0]])})["history"], row, rtol=1e-6)


@both
@pytest.mark.parametrize("names", [["user_id"], ["history"], ["genres", "movie_id"]])
def test_some_of_the_fields(xla, names):
    layer = make(xla)
    wanted = expected(np.array(layer.table))
    assert_equal(layer(inputs(names)), {name: wanted[name] for name in names})


@both
def test_nothing_but_padding(xla):
    pooled = make(xla)({"history": tf.zeros([2, 3], tf.int32), "genres": tf.zeros([2, 0], tf.int32)})
    np.testing.assert_array_equal(pooled["history"], np.zeros([2, 3]))
    np.testing.assert_array_equal(pooled["genres"], np.zeros([2, 3]))


@both
def test_the_gradient_is_indexed_rows(xla):
    layer = make(xla)
    with tf.GradientTape() as tape:
        found = layer(inputs())
        loss = tf.add_n([tf.reduce_sum(found[name] * (place + 1)) for place, name in enumerate(INPUTS)])
    (gradient,) = tape.gradient(loss, layer.trainable_weights)
    assert isinstance(gradient, tf.IndexedSlices)
    wanted = np.zeros((18, 3))
    for place, (name, indices) in enumerate(INPUTS.items()):
        start = STARTS[FIELDS[name]]
        for row in indices:
            filled = [row] if np.ndim(row) == 0 else row[row != 0]
            for index in filled:
                wanted[start + index] += (place + 1) / len(filled)
    np.testing.assert_allclose(tf.convert_to_tensor(gradient), wanted, rtol=1e-5, atol=1e-6)


def test_the_gradient_holds_each_row_once_and_no_padding():
    layer = make()
    with tf.GradientTape() as tape:
        loss = tf.add_n([tf.reduce_sum(values) for values in layer(inputs(["movie_id", "history"])).values()])
    (gradient,) = tape.gradient(loss, layer.trainable_weights)
    assert sorted(gradient.indices.numpy() - STARTS["item"]) == [0, 1, 2, 3, 7, 8]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(inputs(["history"]))["history"])
    (gradient,) = tape.gradient(loss, layer.trainable_weights)
    assert sorted(gradient.indices.numpy() - STARTS["item"]) == [1, 2, 3, 7, 8]


@both
def test_batches_and_sequences_of_unknown_size(xla):
    layer = make(xla)
    signature = {name: tf.TensorSpec([None] * values.ndim, tf.int32) for name, values in INPUTS.items()}
    function = tf.function(lambda values: layer(values, keep=("genres",)), input_signature=[signature])
    found = function(inputs())
    assert_equal({name: found[name] for name in INPUTS}, expected(np.array(layer.table), ["genres"]))
    longer = dict(inputs(), history=tf.pad(inputs()["history"], [[0, 0], [0, 4]]))
    np.testing.assert_allclose(function(longer)["history"], found["history"], rtol=1e-6)


def test_compiled():
    layer = make(xla=True)
    function = tf.function(layer, jit_compile=True)
    found = function(inputs())
    assert_equal({name: found[name] for name in INPUTS}, expected(np.array(layer.table)))


def test_initial_values():
    layer = FieldEmbedding({"a": 3000}, {"f": "a"}, embedding_dim=8)
    layer.build({"f": (None,)})
    table = np.array(layer.table)
    assert table.std() == pytest.approx(1e-4, rel=0.02)
    assert abs(table.mean()) < 5e-6
    same, other = (FieldEmbedding({"a": 3000}, {"f": "a"}, embedding_dim=8, seed=seed) for seed in (0, 1))
    same.build({"f": (None,)})
    other.build({"f": (None,)})
    np.testing.assert_array_equal(same.table, table)
    assert not np.allclose(other.table, table, atol=1e-5)


def test_a_field_without_a_table():
    with pytest.raises(ValueError, match="Received: tables=\\['item'\\]"):
        FieldEmbedding({"user": 5}, {"user_id": "user", "movie_id": "item"}, embedding_dim=3)


def test_masked_mean():
    random = np.random.default_rng(0)
    embeddings, mask = random.normal(size=(4, 3, 5)).astype(np.float32), random.random((4, 3)) < 0.5
    mask[0], mask[1] = False, True
    variable = tf.Variable(embeddings)
    with tf.GradientTape() as tape:
        found = masked_mean(variable, tf.constant(mask))
    wanted = np.stack([mean(*row) for row in zip(embeddings, mask, strict=True)])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    gradient = tape.gradient(found, variable)
    shares = mask / np.maximum(mask.sum(1, keepdims=True), 1)
    np.testing.assert_allclose(gradient, np.repeat(shares[..., np.newaxis], 5, 2), rtol=1e-5)
