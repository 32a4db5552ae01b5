"""What the conformance tests of models share. A model is tested by being registered."""

import artefacts
import pytest
import tensorflow as tf
from support import SPEC

import models

_ENTIRE_SPACE = "entire_space/"
ENTIRE_SPACE = [f"{_ENTIRE_SPACE}{name}" for name in ("dssm", "hit", "fit", "int_tower", "dcn_v2")]
"""Names, in tests only, of models with the entire-space factorisation."""


def entry(name):
    """What the registry knows of a model, or of the model that is factorised."""
    return models.get(name.removeprefix(_ENTIRE_SPACE))


NAMES = [*models.names(), *ENTIRE_SPACE]
TWO_TOWERS = [name for name in NAMES if entry(name).decoupled]
DIFFERENTIABLE = [name for name in NAMES if entry(name).differentiable]

every_model = pytest.mark.parametrize("name", NAMES)
every_differentiable_model = pytest.mark.parametrize("name", DIFFERENTIABLE)
every_two_tower_model = pytest.mark.parametrize("name", TWO_TOWERS)

WITHOUT_RANDOM_WEIGHTS = {
    "ease": "a closed form has no initial weights",
    "gbdt": "trees have no initial weights",
    "target_means": "a logistic regression starts at zero",
}
_ITEM_ID_ALONE = {field.name for field in SPEC.side("item")} - {SPEC.item_id}
FIELDS_LEFT_OUT = {
    "ease": {field.name for field in SPEC.fields} - {SPEC.history, SPEC.item_id},
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
    "poly_encoder": {
        "codes/codes": "the embeddings start so small that every code finds the direction of the number, and a cosine "
        "does not see its length"
    },
}
"""By model, weights whose gradient may vanish at the start, by a part of their name, with the reason."""


def small_options(name):
    """Options that make a model small, where it has them."""
    return artefacts.small_options(entry(name).name)


def build(name, seed=0, xla=False, spec=SPEC, **options):
    options = {**small_options(name), **options}
    return models.build(entry(name).name, spec, options, seed=seed, xla=xla, entire_space=name in ENTIRE_SPACE)


_MADE = {}


def initial(name):
    """What `build(name)` gives, made once a process: each call gives the model its initial weights again.

    For tests that change nothing of a model but its weights. Steps that layers count are weights too.
    """
    if name not in _MADE:
        model = build(name)
        _MADE[name] = model, model.get_weights()
    model, weights = _MADE[name]
    model.set_weights(weights)
    return model


def total_loss(model, inputs, labels):
    return tf.add_n(list(model.loss_terms(inputs, labels).values()))


def loss_and_gradients(model, inputs, labels):
    with tf.GradientTape() as tape:
        loss = total_loss(model, inputs, labels)
    return [loss, *tape.gradient(loss, model.trainable_weights)]
