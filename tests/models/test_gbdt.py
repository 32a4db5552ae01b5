import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score
from support import SPEC, random_batch

import models

OPTIONS = {"trees": 20, "leaf_rows": 5}


def training_part(spec=SPEC, rows=2000):
    inputs, _ = random_batch(spec, rows)
    columns = {name: values.numpy() for name, values in inputs.items()}
    score = columns["user_mean_rating"] + (columns["genres"] == 3).any(axis=1) + (columns["gender"] == 2)
    labels = np.random.default_rng(0).random(rows) < 1 / (1 + np.exp(1 - 2 * score))
    return {**columns, spec.label: labels.astype(np.float32)}


def fitted(seed=0, spec=SPEC, **options):
    model = models.build("gbdt", spec, {**OPTIONS, **options}, seed=seed)
    columns = training_part(spec)
    assert model.fit_directly(lambda names, most_rows=None: {name: columns[name] for name in names})
    return model


def test_logits_are_scikit_learns():
    model = fitted()
    inputs, _ = random_batch(SPEC, 300, seed=1)
    columns = {name: values.numpy() for name, values in inputs.items()}
    expected = model._trees.decision_function(model._table(columns))
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-5)
    predicted = model.predict(tf.data.Dataset.from_tensor_slices(inputs).batch(64), verbose=0)
    np.testing.assert_array_equal(predicted, model(inputs))
    columns = training_part()
    assert roc_auc_score(columns["label"], model({name: tf.constant(columns[name]) for name in inputs})) > 0.8


def test_what_the_trees_see():
    model = fitted()
    inputs, _ = random_batch(SPEC, 10)
    columns = {name: values.numpy() for name, values in inputs.items()}
    table = model._table(columns)
    sets = np.array([[value in row for value in range(1, 8)] for row in columns["genres"]])
    history = np.array([[value in row for value in range(1, 40)] for row in columns["user_hist"]])
    single = [columns[name][:, None] for name in ("user_id", "gender", "age", "user_mean_rating")]
    expected = np.hstack([*single, history, columns["movie_id"][:, None], sets, columns["item_mean_rating"][:, None]])
    np.testing.assert_allclose(table, expected, rtol=1e-6)


def test_of_a_large_sequence_they_see_the_length():
    fields = tuple(
        dataclasses.replace(field, vocabulary_size=300) if field.vocabulary == "movie_id" else field
        for field in SPEC.fields
    )
    model = fitted(spec=dataclasses.replace(SPEC, fields=fields))
    columns = training_part(model.spec, 10)
    np.testing.assert_array_equal(model._table(columns)[:, 4], (columns["user_hist"] != 0).sum(axis=1))


def test_the_same_seed_gives_the_same_trees_and_they_are_kept(tmp_path):
    first, same = fitted(seed=3), fitted(seed=3)
    inputs, _ = random_batch(SPEC, 50)
    np.testing.assert_array_equal(first(inputs), same(inputs))
    first.save_trained(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["best.joblib"]
    restored = models.build("gbdt", SPEC, OPTIONS)
    assert np.ptp(restored(inputs)) == 0
    restored.load_trained(tmp_path)
    np.testing.assert_array_equal(restored(inputs), first(inputs))
    assert restored.parameters() == first.parameters() > 20


def test_options_reach_the_trees():
    model = fitted(trees=7, tree_lr=0.3, leaves=5, leaf_rows=11)
    parameters = model._trees.get_params()
    chosen = [parameters[name] for name in ("max_iter", "learning_rate", "max_leaf_nodes", "min_samples_leaf")]
    assert chosen == [7, 0.3, 5, 11]
    assert model._trees.n_iter_ == 7


@pytest.mark.parametrize("flag", ["exportable", "differentiable", "decoupled"])
def test_what_it_is_not(flag):
    assert not getattr(models.get("gbdt"), flag)
