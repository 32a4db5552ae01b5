"""What holds for every model. A model is tested by being registered."""

import json

import numpy as np
import pytest
import tensorflow as tf
from support import SPEC, dense, is_table, random_batch, randomise, take

import models
from models import PreRankingModel, TwoTowerModel
from training.config import parse
from training.optimizer import LazyAdam

NAMES = models.names()
TWO_TOWERS = [name for name in NAMES if models.get(name).decoupled]
DIFFERENTIABLE = [name for name in NAMES if models.get(name).differentiable]

every_model = pytest.mark.parametrize("name", NAMES)
every_differentiable_model = pytest.mark.parametrize("name", DIFFERENTIABLE)
every_two_tower_model = pytest.mark.parametrize("name", TWO_TOWERS)

WITHOUT_RANDOM_WEIGHTS = {
    "gbdt": "trees have no initial weights",
    "target_means": "a logistic regression starts at zero",
}
_ITEM_ID_ALONE = {field.name for field in SPEC.side("item")} - {SPEC.item_id}
FIELDS_LEFT_OUT = {
    "mind": _ITEM_ID_ALONE,
    "target_means": {field.name for field in SPEC.fields} - {SPEC.user_mean, SPEC.item_mean},
    "youtube_dnn": _ITEM_ID_ALONE,
}
WEIGHTS_WITHOUT_GRADIENT: dict[str, dict[str, str]] = {
    "auto_int": {
        "query": "its effect is quadratic in the embeddings, which start at 1e-4",
        "key": "its effect is quadratic in the embeddings, which start at 1e-4",
    },
    "mind": {"bilinear": "a capsule's length is quadratic in the embeddings, which start at 1e-4"},
}
"""By model, weights whose gradient may vanish at the start, by a part of their name, with the reason."""


def small_options(name):
    """Options that make a model small, where it has them."""
    small = {"embedding_dim": 4, "hidden_units": (12, 12, 8), "head_dim": 4}
    return {option: value for option, value in small.items() if option in models.get(name).options.model_fields}


def build(name, seed=0, **options):
    return models.build(name, SPEC, {**small_options(name), **options}, seed=seed)


@pytest.fixture(scope="module")
def randomised():
    """A model of every name, every weight random; what has no weights is fitted to random rows."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = build(name)
            if models.get(name).differentiable:
                randomise(made[name])
            else:
                made[name].fit_directly(random_training_part)
        return made[name]

    return get


def random_training_part(names):
    """Columns of rows whose labels depend on every field."""
    inputs, _ = random_batch(SPEC, 4000, seed=7)
    columns = {name: values.numpy() for name, values in inputs.items()}
    terms = [values if values.ndim == 1 else (values != 0).sum(axis=1) for values in columns.values()]
    score = sum((term - term.mean()) / term.std() for term in terms)
    columns[SPEC.label] = (score > 0).astype(np.float32)
    return {name: columns[name] for name in names}


def total_loss(model, inputs, labels):
    return tf.add_n(list(model.loss_terms(inputs, labels).values()))


def loss_and_gradients(model, inputs, labels):
    with tf.GradientTape() as tape:
        loss = total_loss(model, inputs, labels)
    return [loss, *tape.gradient(loss, model.trainable_weights)]


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


# Training


@every_differentiable_model
@pytest.mark.parametrize("weights", ["initial", "random"])
def test_every_trainable_weight_gets_a_gradient(name, weights):
    model = build(name)
    if weights == "random":
        randomise(model)
    norms = np.zeros(len(model.trainable_weights))
    for seed in range(3):
        _, *gradients = loss_and_gradients(model, *random_batch(SPEC, 256, seed))
        for place, (weight, gradient) in enumerate(zip(model.trainable_weights, gradients, strict=True)):
            assert gradient is not None, weight.name
            assert np.isfinite(dense(gradient)).all(), weight.name
            norms[place] = max(norms[place], np.linalg.norm(dense(gradient)))
    exempt = WEIGHTS_WITHOUT_GRADIENT.get(name, {}) if weights == "initial" else {}
    for weight, norm in zip(model.trainable_weights, norms, strict=True):
        if not any(part in weight.name for part in exempt):
            assert norm > 1e-6 * norms.max(), weight.name


@every_differentiable_model
def test_embedding_gradients_are_indexed_rows(name):
    model = build(name)
    _, *gradients = loss_and_gradients(model, *random_batch(SPEC, 32))
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        assert isinstance(gradient, tf.IndexedSlices) == is_table(weight), weight.name


@every_differentiable_model
def test_the_loss_of_one_batch_falls(name):
    model = build(name, dropout=0.0)
    model.compile(optimizer=LazyAdam(0.01, embedding_l2=1e-5))
    inputs, labels = random_batch(SPEC, 128)
    losses = []
    for _ in range(20):
        model.reset_metrics()
        losses.append(model.train_on_batch(inputs, labels, return_dict=True)["loss"])
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


@every_differentiable_model
def test_a_batch_of_one_class_gives_finite_gradients(name):
    for label in (0.0, 1.0):
        model = build(name)
        inputs, _ = random_batch(SPEC, 8)
        for found in loss_and_gradients(model, inputs, tf.fill([8], label)):
            assert np.isfinite(dense(found)).all()


@every_differentiable_model
def test_compiled_by_xla(name):
    plain, compiled = (models.build(name, SPEC, small_options(name), seed=1, xla=xla) for xla in (False, True))
    batch = random_batch(SPEC, 64)
    found = loss_and_gradients(plain, *batch)
    for one, other in zip(found, tf.function(loss_and_gradients, jit_compile=True)(compiled, *batch), strict=True):
        np.testing.assert_allclose(dense(other), dense(one), rtol=1e-3, atol=1e-5 * np.abs(dense(one)).max())


@pytest.fixture
def policy(request):
    tf.keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    tf.keras.mixed_precision.set_global_policy("float32")


@every_differentiable_model
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"], indirect=True)
def test_mixed_precision(name, policy):
    model = build(name)
    model.compile(optimizer=LazyAdam())
    scaled = isinstance(model.optimizer, tf.keras.mixed_precision.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    assert {weight.dtype for weight in model.trainable_weights} == {tf.float32}
    inputs, labels = random_batch(SPEC, 64)
    for found in loss_and_gradients(model, inputs, labels):
        assert found.dtype == tf.float32
        assert np.isfinite(dense(found)).all()
    logits = model(inputs, training=False)
    assert logits.dtype == tf.float32
    assert np.isfinite(logits).all()
    if isinstance(model, TwoTowerModel):
        score = model.score(model.user_tower(inputs), model.item_tower(inputs))
        np.testing.assert_allclose(score, logits, rtol=0, atol=1e-5)


# Seeds, configuration, files


@every_model
def test_weights_are_given_by_the_seed(name):
    first, same, other = (build(name, seed=seed) for seed in (1, 1, 2))
    differ = False
    for one, two, three in zip(first.weights, same.weights, other.weights, strict=True):
        np.testing.assert_array_equal(one, two)
        if np.ptp(one) > 0:  # not one of those that start at a constant
            assert not np.isclose(one, three).all(), one.name
            differ = True
    assert differ == (name not in WITHOUT_RANDOM_WEIGHTS)


@every_differentiable_model
def test_the_same_seed_trains_to_the_same_weights(name):
    trained = []
    for seed in (1, 1, 2):
        model = build(name, seed=seed)
        model.compile(optimizer=LazyAdam(0.01, embedding_l2=1e-5))
        for step in range(5):
            model.train_on_batch(*random_batch(SPEC, 64, seed=step))
        trained.append([weight.numpy() for weight in model.weights])
    for one, two in zip(*trained[:2], strict=True):
        np.testing.assert_array_equal(one, two)
    if name not in WITHOUT_RANDOM_WEIGHTS:
        assert any(not np.allclose(one, three) for one, three in zip(trained[0], trained[2], strict=True))


@every_model
def test_the_configuration_file_rebuilds_it(name, tmp_path):
    flags = [text for option, value in small_options(name).items() for text in (f"--{option}", _spelt(value))]
    config = parse(["--model_name", name, *flags, "--random_seed", "3"], program="train.py", description="Train.")
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    again = parse(["--config", str(tmp_path / "config.yaml")], program="train.py", description="Train.")
    assert again == config
    first, second = (models.build(c.run.model_name, SPEC, c.model, c.run.random_seed) for c in (config, again))
    assert first.get_config() == second.get_config()
    for one, two in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(one, two)


def _spelt(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@every_model
def test_no_two_weights_start_equal(name):
    model = build(name, seed=1)
    values = [(weight.name, weight.numpy().ravel()) for weight in model.trainable_weights]
    values = [(weight, value) for weight, value in values if value.size > 1 and np.ptp(value) > 0]
    for place, (one, first) in enumerate(values):
        for other, second in values[place + 1 :]:
            size = min(first.size, second.size)
            assert not np.allclose(first[:size] / first[0], second[:size] / second[0]), f"{one} and {other}"


@every_differentiable_model
def test_dropout_masks_are_given_by_the_seed(name):
    inputs, labels = random_batch(SPEC, 64)
    losses = [float(total_loss(build(name, seed=seed, dropout=0.5), inputs, labels)) for seed in (1, 1)]
    assert losses[0] == losses[1]


@every_model
def test_its_configuration_rebuilds_it(name):
    model = build(name, seed=3)
    config = json.loads(json.dumps(model.get_config()))
    restored = type(model).from_config(config)
    restored.build_weights()
    assert restored.get_config() == model.get_config()
    assert restored.spec == model.spec
    assert restored.options == model.options
    for one, two in zip(model.weights, restored.weights, strict=True):
        np.testing.assert_array_equal(one, two)


@every_differentiable_model
def test_saved_weights_give_the_same_logits(name, tmp_path):
    model, restored = build(name), build(name, seed=9)
    randomise(model)
    model.compile(optimizer=LazyAdam(), run_eagerly=True)
    inputs, labels = random_batch(SPEC, 16)
    model.train_on_batch(inputs, labels)
    assert len(restored.weights) == len(model.weights), "what counts the loss is no weight"
    model.save_weights(str(tmp_path / "model.weights.h5"))
    restored.load_weights(str(tmp_path / "model.weights.h5"))
    np.testing.assert_array_equal(restored(inputs, training=False), model(inputs, training=False))


@every_model
def test_it_names_no_column_of_a_data_set(name):
    """The same model is built for fields of other names."""
    renamed = json.loads(
        json.dumps(SPEC.to_dict())
        .replace("user_mean_rating", "mean_u")
        .replace("item_mean_rating", "mean_i")
        .replace("user_id", "reader")
        .replace('"movie_id"', '"book"')
        .replace("user_hist", "books")
        .replace('"genres"', '"shelf"')
        .replace('"gender"', '"country"')
    )
    # the keys of the specification itself keep their names
    renamed = {key.replace("reader", "user_id"): value for key, value in renamed.items()}
    spec = type(SPEC).from_dict(renamed)
    model = models.build(name, spec, small_options(name))
    inputs, _ = random_batch(spec, 4)
    assert isinstance(model, PreRankingModel)
    assert model(inputs, training=False).shape == (4,)


# What Keras is told


@every_differentiable_model
def test_the_logs_are_means_of_the_terms_since_the_last_reset(name):
    model = build(name)
    model.compile(optimizer=LazyAdam(0.0), run_eagerly=True)
    batches = [random_batch(SPEC, 16, seed) for seed in range(3)]
    twin = build(name)
    expected = [float(total_loss(twin, *batch)) for batch in batches]
    model.reset_metrics()
    found = [model.train_on_batch(*batch, return_dict=True, reset_metrics=False) for batch in batches]
    for place, logs in enumerate(found):
        assert logs["loss"] == pytest.approx(np.mean(expected[: place + 1]), rel=1e-4)
        assert sum(value for term, value in logs.items() if term != "loss") == pytest.approx(logs["loss"], rel=1e-5)
    model.reset_metrics()
    assert {metric.name for metric in model.metrics} == set(found[0])
    assert all(float(metric.result()) == 0 for metric in model.metrics)
