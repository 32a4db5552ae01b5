import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from support import SPEC, random_batch

import models
from prerank.errors import InputError


def training_part(rows=5000):
    random = np.random.default_rng(0)
    user, item = random.normal(size=rows), random.normal(size=rows)
    labels = random.random(rows) < 1 / (1 + np.exp(-(0.8 * user + 1.4 * item - 0.3)))
    return {SPEC.user_mean: user.astype(np.float32), SPEC.item_mean: item.astype(np.float32), "label": labels * 1.0}


def test_it_is_scikit_learns_logistic_regression():
    columns = training_part()
    asked = []

    def read(names):
        asked.extend(names)
        return {name: columns[name] for name in names}

    model = models.build("target_means", SPEC)
    assert model.fit_directly(read)
    assert asked == [SPEC.user_mean, SPEC.item_mean, "label"]
    inputs, _ = random_batch(SPEC, 100)
    means = np.column_stack([inputs[SPEC.user_mean], inputs[SPEC.item_mean]])
    fitted = LogisticRegression().fit(
        np.column_stack([columns[SPEC.user_mean], columns[SPEC.item_mean]]), columns["label"]
    )
    probabilities = 1 / (1 + np.exp(-model(inputs, training=False).numpy()))
    np.testing.assert_allclose(probabilities, fitted.predict_proba(means)[:, 1], atol=1e-5)
    np.testing.assert_allclose([float(model.user_weight), float(model.item_weight)], [0.8, 1.4], atol=0.15)
    assert float(model.bias) == pytest.approx(-0.3, abs=0.1)


def test_rows_count_their_weights():
    columns = training_part(500)
    columns["label"][:50] = -1  # without a label
    columns["weight"] = np.random.default_rng(1).choice([0.0, 0.5, 1.0, 4.0], 500).astype(np.float32)
    model = models.build("target_means", dataclasses.replace(SPEC, row_columns=("weight",)))
    model.fit_directly(lambda names: {name: columns[name] for name in names})
    means = np.column_stack([columns[SPEC.user_mean], columns[SPEC.item_mean]])[50:].astype(np.float64)
    fitted = LogisticRegression().fit(means, columns["label"][50:], sample_weight=columns["weight"][50:])
    found = [float(model.user_weight), float(model.item_weight), float(model.bias)]
    np.testing.assert_allclose(found, [*fitted.coef_[0], fitted.intercept_[0]], rtol=1e-5)
    plain = LogisticRegression().fit(means, columns["label"][50:])
    assert abs(plain.coef_[0] - fitted.coef_[0]).max() > 0.01


def test_other_models_are_not_fitted_directly():
    assert not models.build("dssm", SPEC, {"hidden_units": (4,)}).fit_directly(lambda names: {})


@pytest.mark.parametrize("role", ["user_mean", "item_mean"])
def test_a_data_set_without_means(role):
    with pytest.raises(InputError, match="target_means: data set 'small' has no mean label"):
        models.build("target_means", dataclasses.replace(SPEC, **{role: None}))
