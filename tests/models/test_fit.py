import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from support import SPEC, random_batch, randomise, take

import models
from prerank.errors import InputError
from training.optimizer import LazyAdam

SMALL = {"hidden_units": (12, 8), "embedding_dim": 4, "head_dim": 3, "dropout": 0.0}
WITHOUT_HISTORY = dataclasses.replace(
    SPEC, history=None, fields=tuple(field for field in SPEC.fields if field.name != "user_hist")
)
ABLATIONS = [{"without_mqm": True}, {"scorer": "dot"}, {"scorer": "sum_max"}, {"scorer": "fc"}]


def build(spec=SPEC, seed=0, **options):
    model = models.build("fit", spec, {**SMALL, **options}, seed=seed)
    randomise(model, seed=1)
    return model


def _weight(unit, query, element):
    """An interaction unit's weight of an element for a query: `MLP([q, e, q − e, q ⊙ e])`."""
    kernel, bias, output, output_bias = (np.array(value, np.float64) for value in unit.weights)
    joined = np.concatenate([query, element, query - element, query * element])
    return (np.maximum(joined @ kernel + bias, 0) @ output + output_bias)[0]


def _tower_input(model, inputs, row, query):
    """What the user's tower takes of a row for a query, by hand from the tables and the units' weights."""
    table, starts = model.encoder.embedding.table.numpy().astype(np.float64), model.encoder.embedding._start

    def embedded(name, index):
        return table[starts[model.spec[name].vocabulary] + index]

    fields = {name: embedded(name, int(inputs[name][row])) for name in ("user_id", "gender", "age")}
    history = [embedded("user_hist", index) for index in inputs["user_hist"][row].numpy() if index != 0]
    nothing = np.zeros(SMALL["embedding_dim"])
    pooled = np.mean(history, axis=0) if history else nothing
    own = [*fields.values(), pooled, [float(inputs["user_mean_rating"][row])]]
    kernel, bias = (np.array(value, np.float64) for value in model.query_projection.weights)
    projected = query @ kernel + bias
    behaviours = sum((_weight(model.history_unit, projected, element) * element for element in history), nothing)
    others = [_weight(model.field_unit, projected, element) * element for element in fields.values()]
    return np.concatenate([*own, behaviours, *others])


def test_the_input_of_the_users_tower_by_hand():
    """The user's own fields, the history weighed by the query and summed, and the other fields weighed by it."""
    model, rows = build(meta_vectors=3), 9
    inputs, _ = random_batch(SPEC, rows)
    lengths = (inputs["user_hist"].numpy() != 0).sum(axis=1)
    assert lengths.min() == 0
    assert lengths.max() > 2
    queries = model.meta_query.queries().numpy().astype(np.float64)
    taken = np.array([_tower_input(model, inputs, row, query) for row in range(rows) for query in queries], np.float32)
    expected = model.user_representer(model.user_dnn(taken, training=False)).numpy().reshape(rows, 3, 4, 3)
    assert np.std(expected, axis=0).min() > 1e-3
    np.testing.assert_allclose(model.user_tower(inputs)["user_heads"], expected, rtol=1e-3, atol=1e-4)
    item = model.item_tower(inputs)
    chosen = expected[np.arange(rows), item["item_meta_index"].numpy()]
    np.testing.assert_allclose(
        model(inputs, training=False), model.scorer([chosen, item["item_heads"]]) + model.bias, rtol=1e-3, atol=1e-4
    )


def test_training_takes_soft_queries_and_inference_hard_ones():
    model = build()
    model.plan_training(1, 10)
    inputs, _ = random_batch(SPEC, 32)
    encoded = model.encoder(inputs, "item")
    attributes = np.hstack([encoded.fields["movie_id"], encoded.fields["genres"]])
    logits = attributes @ model.meta_query.meta_matrix.numpy().T
    group = model.meta_query.queries().numpy()
    item = model.encode_item(inputs, training=False)
    np.testing.assert_array_equal(item["item_meta_index"], logits.argmax(axis=1))
    np.testing.assert_allclose(item["query"], group[logits.argmax(axis=1)], rtol=1e-5)
    for step in range(3):
        powers = np.exp(logits / 0.001 ** (step / 10))
        soft = powers / powers.sum(axis=1, keepdims=True) @ group
        np.testing.assert_allclose(model.encode_item(inputs, training=True)["query"], soft, rtol=1e-4, atol=1e-5)


def test_the_training_pass_depends_on_the_row_s_soft_query():
    """Late in the schedule training sees what inference does, early it does not; batch norm is kept out of it."""
    inputs, _ = random_batch(SPEC, 32)
    distances = []
    for step in (0, 1000):
        model = build()
        model.plan_training(1, 1000)
        model.meta_query.step.assign(step)
        queries = [model.encode_item(inputs, training=training)["query"][:, tf.newaxis] for training in (True, False)]
        user = model.encoder(inputs, "user")
        soft, hard = (model._user(user, query, training=False)["user_heads"] for query in queries)
        distances.append(np.median(np.abs(soft - hard)))
    assert distances[0] > 1e-3
    assert distances[1] < 1e-5


def test_the_item_s_gradient_reaches_the_user_s_side():
    model = build()
    inputs, _ = random_batch(SPEC, 32)
    with tf.GradientTape() as tape:
        item = model.encode_item(inputs, training=True)
        heads = model._user(model.encoder(inputs, "user"), item["query"][:, tf.newaxis], training=True)["user_heads"]
        total = tf.reduce_sum(heads[..., 0])
    gradient = tape.gradient(total, model.meta_query.meta_matrix)
    assert np.abs(gradient).max() > 1e-4


@pytest.mark.parametrize(("anneal_epochs", "planned"), [(5, 1), (1, 30), (0, 1)])
def test_the_schedule(anneal_epochs, planned):
    model = build(anneal_epochs=anneal_epochs)
    model.plan_training(planned, 31)
    inputs, labels = random_batch(SPEC, 16)
    for step in range(31):
        assert model.may_stop() == (0.001 ** (step / 31) <= 0.01)
        model.loss_terms(inputs, labels)
    assert float(model.meta_query.temperature()) == pytest.approx(0.001, rel=1e-4)
    assert build(without_mqm=True).may_stop()


@pytest.mark.parametrize(("anneal_epochs", "total"), [(0, 70), (2, 20), (7, 70), (8, 70)])
def test_over_how_many_steps_the_temperature_falls(anneal_epochs, total):
    model = build(anneal_epochs=anneal_epochs)
    model.plan_training(7, 10)
    assert int(model.meta_query.total_steps) == total


def test_the_step_is_part_of_the_checkpoint(tmp_path):
    model = build()
    model.compile(optimizer=LazyAdam(), run_eagerly=True)
    model.plan_training(1, 10)
    for _ in range(4):
        model.train_on_batch(*random_batch(SPEC, 16))
    tf.train.Checkpoint(model=model).write(str(tmp_path / "state"))
    restored = build(seed=5)
    tf.train.Checkpoint(model=restored).read(str(tmp_path / "state")).assert_existing_objects_matched()
    assert float(restored.meta_query.temperature()) == pytest.approx(0.001**0.4, rel=1e-5)
    assert int(restored.meta_query.step) == 4


@pytest.mark.parametrize("meta_vectors", [1, 5])
def test_an_item_takes_the_state_of_its_query(meta_vectors):
    model = build(meta_vectors=meta_vectors)
    inputs, _ = random_batch(SPEC, 48)
    user, item = model.user_tower(inputs), model.item_tower(inputs)
    assert user["user_heads"].shape == (48, meta_vectors, 4, 3)
    index = item["item_meta_index"].numpy()
    assert item["item_meta_index"].dtype == tf.int32
    assert meta_vectors == 1 or len(set(index)) > 2
    chosen = user["user_heads"].numpy()[np.arange(48), index]
    expected = model.scorer([chosen, item["item_heads"]]) + model.bias
    np.testing.assert_allclose(model.score(user, item), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model(inputs, training=False), expected, rtol=0, atol=1e-5)
    one = {"user_heads": user["user_heads"][7:8]}
    expected = model.scorer([user["user_heads"].numpy()[7, index], item["item_heads"]]) + model.bias
    np.testing.assert_allclose(model.score(one, item), expected, rtol=1e-5, atol=1e-5)
    last = {name: part[-1:] for name, part in item.items()}
    assert model.score(one, last).shape == (1,)


def test_states_of_a_user_differ_by_query_alone():
    model = build()
    inputs, _ = random_batch(SPEC, 6)
    states = model.user_tower(inputs)["user_heads"]
    hard = model.meta_query.queries()
    for query in (0, 3, 15):
        queries = tf.repeat(hard[tf.newaxis, query : query + 1], 6, axis=0)
        heads = model._user(model.encoder(inputs, "user"), queries, training=False)["user_heads"]
        np.testing.assert_allclose(states[:, query : query + 1], heads, rtol=1e-4, atol=1e-5)
    assert np.std(states, axis=1).max() > 1e-3


@pytest.mark.parametrize("options", [{}, *ABLATIONS], ids=str)
@pytest.mark.parametrize("spec", [SPEC, WITHOUT_HISTORY], ids=["history", "no history"])
@pytest.mark.parametrize("similarity", ["scaled_cosine", "dot"])
def test_every_ablation_trains_and_is_decoupled(spec, options, similarity):
    model = models.build("fit", spec, {**SMALL, **options, "similarity": similarity})
    inputs, labels = random_batch(spec, 32)
    model.compile(optimizer=LazyAdam(0.01), run_eagerly=True)
    before = [weight.numpy() for weight in model.trainable_weights]
    for _ in range(2):
        logs = model.train_on_batch(inputs, labels, return_dict=True)
    assert np.isfinite(logs["loss"])
    for weight, value in zip(model.trainable_weights, before, strict=True):
        assert (weight.numpy() != value).any(), weight.name
    score = model.score(model.user_tower(inputs), model.item_tower(inputs))
    np.testing.assert_allclose(score, model(inputs, training=False), rtol=0, atol=1e-5)
    one = model.score(model.user_tower(take(inputs, [0])), model.item_tower(inputs))
    assert one.shape == (32,)


def test_without_mqm_there_is_one_state_and_no_index():
    model = build(without_mqm=True)
    inputs, _ = random_batch(SPEC, 5)
    assert model.user_tower(inputs)["user_heads"].shape == (5, 1, 4, 3)
    assert list(model.item_tower(inputs)) == ["item_heads"]
    assert not [weight.name for weight in model.weights if "unit" in weight.name or "meta" in weight.name]
    assert models.get("fit").model.item_state == ("item_heads", "item_meta_index"), "the class keeps its own"


def test_one_inner_product_needs_as_many_heads_on_both_sides():
    with pytest.raises(InputError, match="--scorer dot needs as many .* --user_heads 4 --item_heads 2"):
        build(scorer="dot", item_heads=2)


def test_diagnostics():
    model = build(meta_vectors=6)
    model.plan_training(1, 10)
    model.meta_query.step.assign(2)
    batches = [random_batch(SPEC, 40, seed) for seed in (0, 1)]
    for inputs, _ in batches:  # an item's other attributes are its own
        inputs["genres"] = tf.stack([inputs["movie_id"] % 7, inputs["movie_id"] % 3], axis=1)
    found = model.diagnostics(tf.data.Dataset.from_generator(lambda: batches, output_signature=_signature(batches[0])))
    items = {}
    for inputs, _ in batches:
        fields = model.encoder(inputs, "item").fields
        rows = np.hstack([fields["movie_id"], fields["genres"]])
        items |= dict(zip(inputs["movie_id"].numpy().tolist(), rows, strict=True))
    assert 10 < len(items) < 40
    matrix = model.meta_query.meta_matrix.numpy()
    group = matrix @ matrix.T @ matrix
    logits = np.stack(list(items.values())) @ matrix.T
    powers = np.exp(logits / 0.001**0.2)
    soft, hard = powers / powers.sum(axis=1, keepdims=True) @ group, group[logits.argmax(axis=1)]
    cosines = np.sum(soft * hard, axis=1) / np.linalg.norm(soft, axis=1) / np.linalg.norm(hard, axis=1)
    shares = np.array([np.mean(logits.argmax(axis=1) == vector) for vector in range(6)])
    entropy = -sum(share * np.log(share) for share in shares if share)
    pairs = [
        abs(group[i] @ group[j]) / np.linalg.norm(group[i]) / np.linalg.norm(group[j])
        for i in range(6)
        for j in range(i)
    ]
    assert found == pytest.approx(
        {
            "query_similarity": cosines.mean(),
            "query_perplexity": np.exp(entropy),
            "query_overlap": np.mean(pairs),
        },
        rel=1e-4,
    )
    assert build(without_mqm=True).diagnostics(batches) == {}
    assert build(meta_vectors=1).diagnostics(batches) == pytest.approx(
        {"query_similarity": 1, "query_perplexity": 1, "query_overlap": 0}
    )


def _signature(batch):
    return tf.nest.map_structure(lambda value: tf.TensorSpec(value.shape, value.dtype), batch)
