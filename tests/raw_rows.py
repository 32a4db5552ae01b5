"""Raw rows of the generated sample, and what a model answers to them, for the tests of exports."""

import numpy as np
import tensorflow as tf
from support import fit_directly

import models
from export.raw_inputs import RawInputs


def vocabularies(prepared):
    return {name: prepared.vocabulary(name) for name in prepared.spec.tables}


def raw_rows(prepared):
    """Raw inputs: known ids, an unseen user and movie, everything missing, and empty sequences."""
    users, movies, genres = (prepared.vocabulary(name) for name in ("user_id", "movie_id", "genres"))
    nan = float("nan")
    return {
        "user_id": [int(users[0]), int(users[3]), 999_999_999, -1],
        "gender": ["F", "M", "?", ""],
        "age": [25, 1, 999, -1],
        "occupation": [3, 4, 777, -1],
        "user_mean_rating": [0.3, 0.8, 0.5, nan],
        "user_hist": [[int(movies[0]), int(movies[1])], [int(movies[2]), -1], [999_999_999, -1], [-1, -1]],
        "movie_id": [int(movies[0]), int(movies[5]), 888_888_888, -1],
        "genres": [[str(genres[0]), str(genres[1])], [str(genres[2]), ""], ["Unheard of", ""], ["", ""]],
        "item_mean_rating": [0.9, 0.1, 0.4, nan],
    }


def tensors(prepared, raw):
    kinds = {field.name: field.raw_type for field in prepared.spec.fields}
    return {name: tf.constant(value, kinds[name]) for name, value in raw.items()}


def keras_logits(model, prepared, raw):
    """Logits (B,) of the model itself for raw rows, looked up in TensorFlow."""
    encode = RawInputs(prepared.spec, vocabularies(prepared)).encode
    return model(encode(tensors(prepared, raw)), training=False).numpy()


def perturb(model, seed=3):
    """Weights as after a training: embeddings start so small that every row would score the same."""
    if not models.get(model.name).differentiable:
        fit_directly(model)
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign_add(rng.normal(0, 0.1, weight.shape).astype(np.float32))


def random_raw_rows(prepared, rows, length=7, seed=0):
    """Raw inputs of any values of the vocabularies, unseen and missing ones among them, as arrays."""
    rng = np.random.default_rng(seed)

    def values(field, shape):
        if field.kind == "dense":
            return np.where(rng.random(shape) < 0.2, np.nan, rng.random(shape)).astype(np.float32)
        unseen, missing = ("Unheard of", "") if field.raw_type == "string" else (987_654_321, -1)
        spelt = np.array([unseen, missing, *prepared.vocabulary(field.vocabulary)])
        chosen = rng.choice(spelt, shape)
        if field.kind == "sequence":
            filled = np.arange(length) < rng.integers(0, length + 1, (rows, 1))
            chosen = np.where(filled, chosen, missing)
        return chosen

    shapes = {field.name: (rows, length) if field.kind == "sequence" else (rows,) for field in prepared.spec.fields}
    return {field.name: values(field, shapes[field.name]) for field in prepared.spec.fields}
