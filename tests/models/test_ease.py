import dataclasses

import numpy as np
import pytest
from support import SPEC, fit_directly, random_batch

import models
from features import MISSING, RESERVED, UNSEEN
from prerank.errors import InputError

RANK = 4
DAY = 86_400


def training_part(rows=1500, seed=0):
    random = np.random.default_rng(seed)
    return {
        "user_id": random.integers(MISSING, SPEC["user_id"].vocabulary_size, rows, np.int32),
        "movie_id": np.minimum(random.geometric(0.08, rows), 39).astype(np.int32),
        "label": (random.random(rows) < 0.6).astype(np.float32),
        "timestamp": random.integers(0, 100 * DAY, rows),
    }


def fitted(columns, spec=SPEC, **options):
    model = models.build("ease", spec, {"embedding_dim": RANK, **options})
    assert model.fit_directly(lambda names, most_rows=None: {name: columns[name] for name in names})
    return model


def least_squares(columns, l2):
    """B by the solution of each item's own least squares, which leaves out the item's own weight. Shape (40, 40)."""
    liked = np.zeros((SPEC["user_id"].vocabulary_size, 40))
    for user, item, label in zip(columns["user_id"], columns["movie_id"], columns["label"], strict=True):
        if label and user > UNSEEN and item > UNSEEN:
            liked[user, item] = 1
    weights = np.zeros((40, 40))
    present = np.flatnonzero(liked.any(axis=0))
    for item in present:
        others = present[present != item]
        gram = liked[:, others].T @ liked[:, others] + l2 * np.eye(len(others))
        weights[others, item] = np.linalg.solve(gram, liked[:, others].T @ liked[:, item])
    return weights


def products(model):
    return model.of_history.numpy() @ model.of_item.numpy().T


@pytest.mark.parametrize("columns_at_once", [7, 1024])
def test_a_high_rank_gives_the_weights_of_least_squares(columns_at_once, monkeypatch):
    monkeypatch.setattr("models.ease.model._COLUMNS_AT_ONCE", columns_at_once)
    columns = training_part()
    model = fitted(columns, embedding_dim=37, item_l2=20.0)
    expected = least_squares(columns, 20.0)
    left_over = np.linalg.svd(expected)[1][37]  # rank 37 of 38 items
    assert np.linalg.norm(products(model) - expected, 2) == pytest.approx(left_over, abs=1e-4)


def test_a_lower_rank_is_the_closest_of_its_rank():
    columns = training_part()
    model = fitted(columns, item_l2=20.0)
    left, scales, right = np.linalg.svd(least_squares(columns, 20.0))
    closest = (left[:, :RANK] * scales[:RANK]) @ right[:RANK]
    np.testing.assert_allclose(products(model), closest, atol=2e-3)


@pytest.mark.parametrize("half_life", [0.0, 10.0])
def test_popularity(half_life):
    columns = training_part()
    model = fitted(columns, half_life=half_life, steady_share=0.25)
    counted = (columns["label"] == 1) & (columns["movie_id"] > UNSEEN)
    last = columns["timestamp"][counted].max()
    expected = np.full(40, 0.1)
    for item, time in zip(columns["movie_id"][counted], columns["timestamp"][counted], strict=True):
        expected[item] += 0.25 + (0.5 ** ((last - time) / DAY / half_life) if half_life else 1.0)
    np.testing.assert_allclose(model.popularity.numpy(), np.log(expected), rtol=1e-5)


def test_positives_count_their_weights_for_popularity_only():
    columns = training_part()
    columns["weight"] = np.random.default_rng(1).choice([0.0, 0.5, 3.0], len(columns["label"])).astype(np.float32)
    weighted = dataclasses.replace(SPEC, row_columns=("weight",))
    model = fitted(columns, weighted, half_life=10.0, steady_share=0.25)
    counted = (columns["label"] == 1) & (columns["movie_id"] > UNSEEN)
    last = columns["timestamp"][counted].max()
    expected = np.full(40, 0.1)
    for row in np.flatnonzero(counted):
        age = (last - columns["timestamp"][row]) / DAY
        expected[columns["movie_id"][row]] += columns["weight"][row] * (0.25 + 0.5 ** (age / 10.0))
    np.testing.assert_allclose(model.popularity.numpy(), np.log(expected), rtol=1e-5)
    np.testing.assert_array_equal(products(model), products(fitted(columns)))


def test_the_score_is_the_weighted_sum_over_the_history_plus_popularity():
    model = fitted(training_part(), history_weight=3.0)
    inputs, _ = random_batch(SPEC, 50)
    weights = products(model)
    expected = [
        3.0 * sum(weights[liked, item] for liked in history if liked > UNSEEN) + model.popularity.numpy()[item]
        for history, item in zip(inputs["user_hist"].numpy(), inputs["movie_id"].numpy(), strict=True)
    ]
    np.testing.assert_allclose(model(inputs).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_reserved_rows_have_neither_weights_nor_positives():
    model = fitted(training_part())
    for table in (model.of_history, model.of_item):
        assert not table.numpy()[:RESERVED].any()
    np.testing.assert_allclose(model.popularity.numpy()[:RESERVED], np.log(0.1), rtol=1e-6)


def test_only_the_most_frequent_items_have_weights():
    columns = training_part()
    model = fitted(columns, most_items=5)
    found = np.flatnonzero(model.of_item.numpy().any(axis=1))
    liked = (columns["label"] == 1) & (columns["movie_id"] > UNSEEN) & (columns["user_id"] > UNSEEN)
    counts = np.bincount(columns["movie_id"][liked], minlength=40)
    assert set(found) == set(np.argsort(-counts, kind="stable")[:5])


def test_the_order_of_the_rows_does_not_matter():
    columns = training_part()
    order = np.random.default_rng(1).permutation(len(columns["label"]))
    inputs, _ = random_batch(SPEC, 50)
    first, second = fitted(columns), fitted({name: values[order] for name, values in columns.items()})
    np.testing.assert_allclose(first(inputs).numpy(), second(inputs).numpy(), rtol=1e-3, atol=1e-3)


def test_without_a_positive_all_items_are_equal():
    columns = training_part()
    model = fitted({**columns, "label": np.zeros_like(columns["label"])})
    inputs, _ = random_batch(SPEC, 20)
    np.testing.assert_allclose(model(inputs).numpy(), np.log(0.1), rtol=1e-5)


def test_a_data_set_without_a_history():
    with pytest.raises(InputError, match="ease: data set 'small' has no history"):
        models.build("ease", dataclasses.replace(SPEC, history=None))


def test_it_is_fitted_as_other_models_are_in_tests():
    model = models.build("ease", SPEC)
    fit_directly(model)
    assert np.isfinite(model(random_batch(SPEC, 30)[0]).numpy()).all()
