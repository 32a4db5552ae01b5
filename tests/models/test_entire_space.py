"""The entire-space factorisation: what it leaves alone, what it adds, and what it refuses."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from conformance import small_options
from support import SPEC, random_batch, randomise

import models
from features import MISSING, RESERVED, UNSEEN
from models.entire_space import EntireSpaceModel, EntireSpaceTwoTower
from models.exposure_options import ExposureOptions
from prerank.errors import InputError
from training.optimizer import LazyAdam

NAMES = ["dssm", "fit", "dcn_v2"]


def build(name, seed=1, **options):
    return models.build(name, SPEC, small_options(name) | {"dropout": 0.0}, seed=seed, entire_space=True, **options)


def trained(model, steps=5):
    model.compile(optimizer=LazyAdam(0.01, embedding_l2=1e-5), run_eagerly=True)
    for step in range(steps):
        model.train_on_batch(*random_batch(SPEC, 64, seed=step))
    return model


@pytest.mark.parametrize("name", NAMES)
def test_the_preference_is_trained_as_the_model_is_without_it(name):
    plain = trained(models.build(name, SPEC, small_options(name), seed=1))
    model = trained(models.build(name, SPEC, small_options(name), seed=1, entire_space=True))
    inputs, _ = random_batch(SPEC, 64, seed=9)
    np.testing.assert_allclose(model.predict(inputs, verbose=0), plain(inputs, training=False), rtol=0, atol=1e-5)
    assert set(map(id, model.inner.weights)).isdisjoint(map(id, model.exposure.weights))


@pytest.mark.parametrize("name", NAMES)
def test_its_outputs(name):
    model = build(name)
    randomise(model)
    inputs, _ = random_batch(SPEC, 64)
    found = {name: value.numpy().astype(float) for name, value in model.named_outputs(inputs).items()}
    probability = 1 / (1 + np.exp(-model.inner(inputs, training=False).numpy().astype(float)))
    user = model.exposure.user(inputs).numpy().astype(float)
    item = model.exposure.item(inputs).numpy().astype(float)
    exposure = np.sum(user * item[:, :-1], axis=1) + item[:, -1]
    np.testing.assert_allclose(found["probability"], probability, atol=1e-6)
    np.testing.assert_allclose(model.preference(inputs), np.log(probability / (1 - probability)), atol=1e-4)
    np.testing.assert_allclose(found["logit_exposed"], exposure, atol=1e-4)
    np.testing.assert_allclose(found["probability_exposed"], 1 / (1 + np.exp(-exposure)), atol=1e-5)
    np.testing.assert_allclose(found["logit"], np.log(probability) + exposure, atol=1e-4)
    np.testing.assert_allclose(model(inputs, training=False), found["logit"], atol=1e-5)
    assert np.std(found["logit_exposed"]) > 0.1


def test_a_decoupled_model_stays_decoupled_and_a_ranker_does_not_become_so():
    model = build("fit")
    assert isinstance(model, EntireSpaceTwoTower)
    assert model.user_state == ("user_heads", "user_exposure")
    assert model.item_state == ("item_heads", "item_meta_index", "item_exposure")
    assert isinstance(build("dcn_v2"), EntireSpaceModel)
    assert not isinstance(build("dcn_v2"), models.TwoTowerModel)


@pytest.mark.parametrize("name", NAMES)
def test_losses_of_the_scored_pairs_train_the_exposure_part_only(name):
    model = build(name)
    randomise(model)
    inputs, _ = random_batch(SPEC, 16)
    users, items = tf.constant([0, 3, 3, 15]), tf.constant([5, 3, 0, 1])
    of_pairs = {
        field.name: tf.gather(inputs[field.name], users if field.side == "user" else items) for field in SPEC.fields
    }
    with tf.GradientTape() as tape:
        scored = model.scored(inputs, users, items, training=False)
        total = tf.reduce_sum(scored.logits**2)
    np.testing.assert_allclose(scored.logits, model(of_pairs, training=False), atol=1e-4)
    gradients = tape.gradient(total, [*model.inner.trainable_weights, *model.exposure.trainable_weights])
    of_inner = len(model.inner.trainable_weights)
    assert all(gradient is None for gradient in gradients[:of_inner])
    assert sum(gradient is not None for gradient in gradients[of_inner:]) > 4


def test_rows_count_their_weight_in_both_losses():
    model = build("dssm")
    inputs, labels = random_batch(SPEC, 16)
    weights = np.random.default_rng(0).choice([0.0, 0.5, 2.0], 16).astype(np.float32)
    scored = model.scored(inputs, training=False)
    found = model.row_losses(inputs, labels, scored, tf.constant(weights))
    kept = np.flatnonzero(weights)
    logits = model.preference(inputs).numpy()[kept]
    wrong = np.logaddexp(0, -logits) * labels.numpy()[kept] + np.logaddexp(0, logits) * (1 - labels.numpy()[kept])
    assert float(found["cross_entropy"]) == pytest.approx(np.average(wrong, weights=weights[kept]), rel=1e-4)
    few = {name: tf.gather(value, kept) for name, value in inputs.items()}
    of_few = model.row_losses(few, tf.gather(labels, kept), model.scored(few, training=False), weights[kept])
    assert float(found["exposure"]) == pytest.approx(float(of_few["exposure"]), rel=1e-4)


def test_the_popularity_moves_a_score_by_as_much():
    model = build("dssm")
    randomise(model)
    inputs, _ = random_batch(SPEC, 64)
    before = model(inputs, training=False).numpy()
    added = np.arange(SPEC["movie_id"].vocabulary_size, dtype=np.float32)
    model.set_popularity(model.exposure.log_popularity.numpy() + added)
    np.testing.assert_allclose(model(inputs, training=False) - before, added[inputs["movie_id"]], atol=1e-4)
    assert "log_popularity" not in [weight.name.split("/")[-1].split(":")[0] for weight in model.trainable_weights]


def test_it_takes_nothing_of_an_item_that_changes_from_row_to_row():
    """The batch pairs users with other rows' items, whose state as of another time would tell them apart."""
    model = build("dssm")
    randomise(model)
    inputs, _ = random_batch(SPEC, 16)
    others, _ = random_batch(SPEC, 16, seed=1)
    changed = {**inputs, "item_mean_rating": others["item_mean_rating"]}
    np.testing.assert_array_equal(model.exposure.item(changed), model.exposure.item(inputs))
    assert not np.allclose(model.exposure.item({**inputs, "genres": others["genres"]}), model.exposure.item(inputs))


def planted(random, rows, masked):
    """Rows of two groups of users, each of which is shown one half of the items nine times in ten."""
    inputs, _ = random_batch(SPEC, rows, seed=random.integers(1 << 30))
    gender = random.integers(RESERVED, 4, rows)
    half = np.where(random.random(rows) < 0.9, gender - RESERVED, 3 - gender)
    popular = np.repeat([4.0, 1.0], [6, 13])
    item = RESERVED + 19 * half + random.choice(19, rows, p=popular / popular.sum())
    shown = np.bincount(item, minlength=40)
    item = np.where(random.random(rows) < masked, random.choice([MISSING, UNSEEN], rows), item)
    chosen = {"gender": gender, "movie_id": item}
    inputs |= {key: tf.constant(value, tf.int32) for key, value in chosen.items()}
    return inputs, tf.constant(random.integers(0, 2, rows), tf.float32), shown


def test_it_learns_what_is_shown_to_whom_and_unseen_items_rank_low():
    model = build("dssm")
    model.compile(optimizer=LazyAdam(0.01))
    random = np.random.default_rng(0)
    step = tf.function(model.train_step, reduce_retracing=True)
    counts = np.ones(40)
    for _ in range(150):
        inputs, labels, shown = planted(random, 256, masked=0.1)
        counts += shown
        step((inputs, labels))
    model.set_popularity(np.log(counts / counts.sum()).astype(np.float32))
    inputs, *_ = planted(random, 40, 0.0)
    item = model.exposure.item({**inputs, "movie_id": tf.range(40)})
    user = model.exposure.user(inputs)
    logits = np.stack([model.exposure.logits(user[row : row + 1], item) for row in range(40)])
    popular = np.tile(np.repeat([4.0, 1.0], [6, 13]) / 37, 2)
    own = np.repeat([0.9, 0.1], 19) * popular
    expected = np.stack([own if gender == RESERVED else np.roll(own, 19) for gender in inputs["gender"].numpy()])
    found = logits[:, RESERVED:]
    # p(v|u) itself, not only its order
    assert np.corrcoef(found.ravel(), np.log(expected).ravel())[0, 1] > 0.9
    assert np.abs(found - np.log(expected)).mean() < 0.5
    for row in (MISSING, UNSEEN):
        assert (found > logits[:, [row]]).mean() > 0.9


@pytest.mark.parametrize("name", ["ease", "gbdt", "mind", "target_means", "youtube_dnn"])
def test_what_is_not_calibrated_or_trained_by_gradients_is_refused_in_one_line(name):
    with pytest.raises(InputError, match=f"--entire_space: .*{name}") as caught:
        models.build(name, SPEC, entire_space=True)
    assert "\n" not in str(caught.value)


def test_options_without_it_are_refused():
    for option in ("exposure_weight", "exposure_scale", "exposure_half_life"):
        with pytest.raises(ValueError, match=f"--{option} needs --entire_space"):
            ExposureOptions(**{option: 0.5})


@pytest.mark.parametrize(
    ("option", "allowed", "refused"),
    [("exposure_weight", 1e-9, 0.0), ("exposure_scale", 1.0, 1.001), ("exposure_scale", 1e-9, 0.0),
     ("exposure_half_life", 0.0, -0.5)],
)  # fmt: skip
def test_the_ends_of_what_is_allowed(option, allowed, refused):
    assert getattr(ExposureOptions(entire_space=True, **{option: allowed}), option) == allowed
    with pytest.raises(ValueError, match=option):
        ExposureOptions(entire_space=True, **{option: refused})


def test_the_weight_of_the_exposures_loss():
    inputs, labels = random_batch(SPEC, 64)
    one, three = (
        models.build(
            "dssm",
            SPEC,
            small_options("dssm") | {"dropout": 0.0},
            entire_space=ExposureOptions(entire_space=True, exposure_weight=weight),
        ).loss_terms(inputs, labels)["exposure"]
        for weight in (1.0, 3.0)
    )
    assert float(three) == pytest.approx(3 * float(one), rel=1e-5)
    assert float(one) == pytest.approx(np.log(64), rel=0.2)


def test_the_loss_sees_more_than_the_score_by_the_scale():
    """So that the optimum of the score is as much less than the logarithm that it would be."""
    whole, half = (
        models.build(
            "dssm",
            SPEC,
            small_options("dssm") | {"dropout": 0.0},
            entire_space=ExposureOptions(entire_space=True, exposure_scale=scale),
        ).exposure
        for scale in (1.0, 0.5)
    )
    inputs, _ = random_batch(SPEC, 16)
    random = np.random.default_rng(0)
    user, item = (random.normal(size=(16, width)).astype(np.float32) for width in (4, 5))
    of_half = half.loss(inputs, user, item, tf.ones([16]))
    twice = np.concatenate([item[:, :-1], 2 * item[:, -1:]], axis=1)
    assert float(of_half) == pytest.approx(float(whole.loss(inputs, 2 * user, twice, tf.ones([16]))), rel=1e-5)
    np.testing.assert_array_equal(half.logits(user, item), whole.logits(user, item))


def test_an_item_of_its_id_only():
    """Other data sets' items may have no other field."""
    spec = dataclasses.replace(
        SPEC,
        fields=tuple(field for field in SPEC.fields if field.name not in ("genres", "item_mean_rating")),
        category=None,
        item_mean=None,
    )
    model = models.build("dssm", spec, small_options("dssm"), entire_space=True)
    inputs, labels = random_batch(spec, 16)
    assert np.isfinite(float(model.loss_terms(inputs, labels)["exposure"]))
