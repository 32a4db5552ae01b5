"""A field may have any legal name: nothing that training adds to a batch, and no argument, can clash with it."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from conformance import DIFFERENTIABLE, build
from support import SPEC, random_batch

from models.batch import Batch
from training.optimizer import LazyAdam

_STRANGE = {
    "user_id": "self",
    "gender": "inputs",
    "age": "lookup",
    "user_mean_rating": "training",
    "user_hist": "embedded",
    "movie_id": "DISTINCT",
    "genres": "features",
    "item_mean_rating": "plan",
}
_OF_LAYERS = {
    "user_id": "dnn",
    "gender": "flatten",
    "age": "dense",
    "user_mean_rating": "concatenate",
    "user_hist": "linear",
    "movie_id": "add",
    "genres": "input_1",
    "item_mean_rating": "activation",
}


def renamed(spec, names):
    def new(value):
        if isinstance(value, str):
            return names.get(value, value)
        return tuple(map(new, value)) if isinstance(value, tuple) else value

    fields = tuple(dataclasses.replace(field, name=names[field.name]) for field in spec.fields)
    roles = {role.name: new(getattr(spec, role.name)) for role in dataclasses.fields(spec) if role.name != "fields"}
    return dataclasses.replace(spec, **roles, fields=fields)


def trained(name, names):
    """The weights after a step from one start, whatever the names of the fields."""
    model = build(name, seed=3, spec=renamed(SPEC, names))
    model.compile(LazyAdam(1e-2))
    inputs, labels = random_batch(SPEC, 32)
    inputs = {names[field]: values for field, values in inputs.items()}
    plan = model.plan_lookups()
    arrays = {} if plan is None else plan({field: values.numpy() for field, values in inputs.items()})
    batch = Batch.of_rows(inputs, labels, {key: tf.constant(values) for key, values in arrays.items()})
    model.train_step(batch)
    return model.get_weights()


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_every_model_trains_the_same_whatever_the_fields_are_called(name):
    plain = trained(name, {field.name: field.name for field in SPEC.fields})
    for names in (_STRANGE, _OF_LAYERS):
        for found, wanted in zip(trained(name, names), plain, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
