"""What the forward pass and the towers of every model have to be."""

import numpy as np
import pytest
import tensorflow as tf
from conformance import FIELDS_LEFT_OUT, build, entry, every_model, every_two_tower_model
from support import SPEC, fit_directly, random_batch, randomise, take


@pytest.fixture(scope="module")
def randomised():
    """A model of every name, every weight random; what has no weights is fitted to random rows."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = build(name)
            if entry(name).differentiable:
                randomise(made[name])
            else:
                fit_directly(made[name])
        return made[name]

    return get


# Forward pass


@every_model
def test_logits_are_finite_numbers_that_differ(name, randomised):
    inputs, _ = random_batch(SPEC, 256)
    logits = randomised(name)(inputs, training=False)
    assert logits.shape == (256,)
    assert logits.dtype == tf.float32
    assert np.isfinite(logits).all()
    assert np.std(logits) > 0.02, "the other tests would not notice a difference"


@every_model
def test_a_row_scores_the_same_in_any_batch(name, randomised):
    model = randomised(name)
    inputs, _ = random_batch(SPEC, 256)
    order = np.random.default_rng(0).permutation(256)
    shuffled = np.empty(256, np.float32)
    shuffled[order] = model(take(inputs, order), training=False)
    in_seven = model(take(inputs, range(7)), training=False)
    np.testing.assert_allclose(in_seven, shuffled[:7], rtol=0, atol=1e-5)
    for row in range(7):
        alone = model(take(inputs, [row]), training=False)
        np.testing.assert_allclose(alone, shuffled[row : row + 1], rtol=0, atol=1e-5)


@every_model
def test_every_field_shows_in_the_score(name, randomised):
    model = randomised(name)
    inputs, _ = random_batch(SPEC, 64)
    others, _ = random_batch(SPEC, 64, seed=1)
    logits = model(inputs, training=False).numpy()
    for field in SPEC.fields:
        changed = np.abs(model({**inputs, field.name: others[field.name]}, training=False) - logits).max()
        if field.name in FIELDS_LEFT_OUT.get(name, ()):
            assert changed == 0, field.name
        else:
            assert changed > 1e-4, field.name


@every_model
def test_missing_and_unseen_values_and_empty_sequences_give_finite_logits(name, randomised):
    model = randomised(name)
    for index in (0, 1):
        inputs = {
            field.name: tf.zeros([3])
            if field.kind == "dense"
            else tf.fill([3] if field.kind == "sparse" else [3, field.max_length], index)
            for field in SPEC.fields
        }
        assert np.isfinite(model(inputs, training=False)).all()


@every_model
def test_more_padding_changes_no_logit(name, randomised):
    """Empty, short and full sequences, each with three more columns of padding."""
    model = randomised(name)
    inputs, _ = random_batch(SPEC, 64)
    padded = {
        field.name: tf.pad(inputs[field.name], [[0, 0], [0, 3]]) if field.kind == "sequence" else inputs[field.name]
        for field in SPEC.fields
    }
    for field in SPEC.fields:
        if field.kind == "sequence":
            assert padded[field.name].shape == (64, field.max_length + 3)
            lengths = set(np.count_nonzero(inputs[field.name], axis=1).tolist())
            assert {0, 1, field.max_length} <= lengths
    expected = model(inputs, training=False)
    np.testing.assert_allclose(model(padded, training=False), expected, rtol=0, atol=1e-5)


# The two-tower contract


@every_two_tower_model
def test_score_of_the_towers_is_the_forward_pass(name, randomised):
    model = randomised(name)
    inputs, _ = random_batch(SPEC, 64)
    user = {field.name: inputs[field.name] for field in SPEC.side("user")}
    item = {field.name: inputs[field.name] for field in SPEC.side("item")}
    logits = model.score(model.user_tower(user), model.item_tower(item))
    assert logits.shape == (64,)
    np.testing.assert_allclose(logits, model(inputs, training=False), rtol=0, atol=1e-5)


@every_two_tower_model
def test_one_user_scores_many_items(name, randomised):
    model = randomised(name)
    inputs, _ = random_batch(SPEC, 64)
    user = model.user_tower(take(inputs, [3]))
    repeated = model.user_tower(take(inputs, [3] * 64))
    item = model.item_tower(inputs)
    np.testing.assert_allclose(model.score(user, item), model.score(repeated, item), rtol=0, atol=1e-5)


@every_two_tower_model
def test_states_have_the_declared_names_and_a_leading_batch_axis(name, randomised):
    model = randomised(name)
    inputs, _ = random_batch(SPEC, 5)
    for state, declared, prefix in (
        (model.user_tower(inputs), model.user_state, "user_"),
        (model.item_tower(inputs), model.item_state, "item_"),
    ):
        assert isinstance(state, dict)
        assert tuple(state) == declared
        for part, values in state.items():
            assert part.startswith(prefix)
            assert values.shape[0] == 5
            assert np.isfinite(values).all()


@every_two_tower_model
def test_no_side_sees_the_other(name, randomised):
    model = randomised(name)
    inputs, _ = random_batch(SPEC, 16)
    others, _ = random_batch(SPEC, 16, seed=1)
    for side, tower in (("user", model.item_tower), ("item", model.user_tower)):
        state = tower(inputs)
        for field in SPEC.side(side):
            for part, values in tower({**inputs, field.name: others[field.name]}).items():
                np.testing.assert_array_equal(values, state[part], err_msg=f"{field.name} changes {part}")


@every_two_tower_model
def test_towers_do_not_train(name, randomised):
    """A tower is in inference mode: it moves no batch statistics and draws no dropout mask."""
    model = randomised(name)
    before = [weight.numpy() for weight in model.weights]
    inputs, _ = random_batch(SPEC, 16)
    model.score(model.user_tower(inputs), model.item_tower(inputs))
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
