import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from support import SPEC, random_batch
from threadpoolctl import threadpool_limits

import models
from prerank.errors import InputError

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
    with threadpool_limits(1):
        assert model.fit_directly(lambda names, most_rows=None: {name: columns[name] for name in names})
    return model


@pytest.fixture
def grown(monkeypatch):
    """The classifiers of scikit-learn that are fitted."""
    found = []
    fit = HistGradientBoostingClassifier.fit

    def keep(classifier, *args, **named):
        found.append(classifier)
        return fit(classifier, *args, **named)

    monkeypatch.setattr(HistGradientBoostingClassifier, "fit", keep)
    return found


def test_logits_are_scikit_learns(grown):
    model = fitted()
    inputs, _ = random_batch(SPEC, 300, seed=1)
    expected = grown[0].decision_function(model._table(inputs).numpy())
    np.testing.assert_allclose(model(inputs), expected, rtol=0, atol=1e-6)
    predicted = model.predict(tf.data.Dataset.from_tensor_slices(inputs).batch(64), verbose=0)
    np.testing.assert_array_equal(predicted, model(inputs))
    columns = training_part()
    assert roc_auc_score(columns["label"], model({name: tf.constant(columns[name]) for name in inputs})) > 0.8


def test_rows_count_their_weights():
    columns = training_part()
    columns["label"][:100] = -1  # without a label
    columns["weight"] = np.random.default_rng(1).choice([0.5, 1.0, 6.0], 2000).astype(np.float32)
    model = models.build("gbdt", dataclasses.replace(SPEC, row_columns=("weight",)), OPTIONS)
    with threadpool_limits(1):
        model.fit_directly(lambda names, most_rows=None: {name: columns[name] for name in names})
        table = model._table({field.name: tf.constant(columns[field.name]) for field in SPEC.fields}).numpy()[100:]
        options = {"max_iter": 20, "min_samples_leaf": 5, "early_stopping": False, "random_state": 0}
        options |= {"learning_rate": model.options.tree_lr, "max_leaf_nodes": model.options.leaves}
        small = [field.kind == "sparse" and field.vocabulary_size <= 255 for field in SPEC.fields]
        widths = [1 if field.kind != "sequence" else field.vocabulary_size - 1 for field in SPEC.fields]
        categorical = np.repeat(small, widths)
        grown = HistGradientBoostingClassifier(**options, categorical_features=categorical)
        grown.fit(table, columns["label"][100:], sample_weight=columns["weight"][100:])
    inputs = {field.name: tf.constant(columns[field.name][100:400]) for field in SPEC.fields}
    np.testing.assert_allclose(model(inputs), grown.decision_function(table[:300]), rtol=0, atol=1e-5)


def test_a_model_that_has_predicted_sees_its_new_trees():
    model = models.build("gbdt", SPEC, OPTIONS)
    inputs, _ = random_batch(SPEC, 40)
    assert np.ptp(model.predict(dict(inputs), verbose=0)) == 0
    columns = training_part()
    model.fit_directly(lambda names, most_rows=None: {name: columns[name] for name in names})
    np.testing.assert_array_equal(model.predict(dict(inputs), verbose=0), model(inputs))
    assert np.ptp(model(inputs)) > 0.5


def test_what_the_trees_see(monkeypatch):
    model = fitted()
    inputs, _ = random_batch(SPEC, 10)
    columns = {name: values.numpy() for name, values in inputs.items()}
    sets = np.array([[value in row for value in range(1, 8)] for row in columns["genres"]])
    history = np.array([[value in row for value in range(1, 40)] for row in columns["user_hist"]])
    single = [columns[name][:, None] for name in ("user_id", "gender", "age", "user_mean_rating")]
    expected = np.hstack([*single, history, columns["movie_id"][:, None], sets, columns["item_mean_rating"][:, None]])
    np.testing.assert_allclose(model._table(inputs), expected, rtol=1e-6)
    monkeypatch.setattr("models.gbdt.model._ROWS_AT_ONCE", 3)
    np.testing.assert_array_equal(
        model._whole_table({**columns, SPEC.label: np.zeros(10)}), model._table(inputs), strict=True
    )


def test_of_a_large_sequence_they_see_the_length():
    fields = tuple(
        dataclasses.replace(field, vocabulary_size=300) if field.vocabulary == "movie_id" else field
        for field in SPEC.fields
    )
    model = fitted(spec=dataclasses.replace(SPEC, fields=fields))
    inputs, _ = random_batch(model.spec, 10)
    np.testing.assert_array_equal(model._table(inputs)[:, 4], (inputs["user_hist"].numpy() != 0).sum(axis=1))


def test_the_same_seed_gives_the_same_trees_and_they_are_kept(tmp_path):
    first, same = fitted(seed=3), fitted(seed=3)
    inputs, _ = random_batch(SPEC, 50)
    np.testing.assert_array_equal(first(inputs), same(inputs))
    first.save_trained(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["best.npz"]
    restored = models.build("gbdt", SPEC, OPTIONS)
    assert np.ptp(restored(inputs)) == 0
    restored.load_trained(tmp_path)
    np.testing.assert_array_equal(restored(inputs), first(inputs))
    assert restored.parameters() == first.parameters() > 20


def test_an_older_run_is_to_be_trained_again(tmp_path):
    (tmp_path / "best.joblib").write_bytes(b"whatever runs code")
    with pytest.raises(InputError, match=r"best\.joblib: .*train the run again"):
        models.build("gbdt", SPEC, OPTIONS).load_trained(tmp_path)
    (tmp_path / "best.joblib").unlink()
    with pytest.raises(InputError, match=r"best\.npz: there is no such file"):
        models.build("gbdt", SPEC, OPTIONS).load_trained(tmp_path)


def test_trees_of_other_data(tmp_path):
    fitted().save_trained(tmp_path)
    fields = tuple(
        dataclasses.replace(field, vocabulary_size=9) if field.name == "genres" else field for field in SPEC.fields
    )
    other = models.build("gbdt", dataclasses.replace(SPEC, fields=fields), OPTIONS)
    with pytest.raises(InputError, match=r"best\.npz: .*'columns' is 52, and the data have 53"):
        other.load_trained(tmp_path)


def test_options_reach_the_trees(grown):
    model = fitted(trees=7, tree_lr=0.3, leaves=5, leaf_rows=11)
    parameters = grown[0].get_params()
    chosen = [parameters[name] for name in ("max_iter", "learning_rate", "max_leaf_nodes", "min_samples_leaf")]
    assert chosen == [7, 0.3, 5, 11]
    assert model._scores.trees().count == 7
    assert model.parameters() == 7 * 9


def test_what_it_is():
    entry = models.get("gbdt")
    assert entry.exportable
    assert not entry.differentiable
    assert not entry.decoupled
