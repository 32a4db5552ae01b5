"""Small exported models with random weights, and users and items for them in raw spelling."""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from support import SPEC, randomise

import models
from export.writer import export, target
from features import RESERVED
from prerank.artefact import Artefact
from prerank.items import columns, read_table

GENRES = ["Action", "Comedy", "Drama", "Horror", "Musical", "War"]
VOCABULARIES = {
    "user_id": np.arange(100, 100 + SPEC["user_id"].vocabulary_size - RESERVED),
    "gender": np.array(["F", "M"]),
    "age": np.arange(SPEC["age"].vocabulary_size - RESERVED) * 10,
    "movie_id": np.arange(SPEC["movie_id"].vocabulary_size - RESERVED) * 3 + 1,
    "genres": np.array(GENRES),
}
_SMALL = {"embedding_dim": 4, "hidden_units": (12, 12, 8), "head_dim": 4}
_COMPRESSOR = {"compressor_heads": 2, "local_width": 3}
_SMALL_OF = {
    "cet_net": _COMPRESSOR,
    "mlcc": _COMPRESSOR,
    "mol": {"user_heads": 3, "item_heads": 2, "mixture_hidden": 8, "mixture_temperature": 0.2},
}
"""What else makes a model small, or its scores differ, by its name."""


def small_options(name):
    """Options that make a model small, where it has them."""
    known = models.get(name).options.model_fields
    return {option: value for option, value in _SMALL.items() if option in known} | _SMALL_OF.get(name, {})


def export_small(name, place, seed=0, catalogue=None, export_format="saved_model", **options):
    """Export a model with random weights to `place`."""
    model = models.build(name, SPEC, {**small_options(name), **options}, seed=seed)
    randomise(model, seed)
    files = {"catalogue.parquet": catalogue} if catalogue else {}
    export(model, VOCABULARIES, target(place), files, export_format)
    return place


def write_items(path: Path, ids, seed=0) -> Path:
    """A catalogue with items of the ids given; some values are missing, some unseen."""
    random = np.random.default_rng(seed)
    means = random.random(len(ids))
    genres = [random.choice([*GENRES, "?"], random.integers(0, 4)).tolist() for _ in ids]
    table = {
        "movie_id": pa.array(list(ids), pa.int64()),
        "genres": pa.array(genres, pa.list_(pa.string())),
        "item_mean_rating": pa.array([None if mean < 0.1 else mean for mean in means], pa.float64()),
    }
    pq.write_table(pa.table(table), path)
    return path


def users(count, seed=0):
    """Users as requests spell them; with unseen and missing values, and histories from empty to long."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        user = {
            "user_id": int(random.integers(95, 130)),
            "gender": str(random.choice(["F", "M", "?"])),
            "age": int(random.choice(VOCABULARIES["age"])),
            "user_mean_rating": float(random.random()),
            "user_hist": random.choice(VOCABULARIES["movie_id"], random.integers(0, 9)).tolist(),
        }
        if number % 4 == 3:
            user |= {"gender": None, "user_hist": None}
            del user["user_mean_rating"]
        made.append(user)
    return made


def raw_user(user):
    """The same user as arrays of one row for a signature."""
    history = user["user_hist"] or []
    return {
        "user_id": np.array([user["user_id"]]),
        "gender": np.array([user["gender"] or ""]),
        "age": np.array([user["age"]]),
        "user_mean_rating": np.array([user.get("user_mean_rating", math.nan)], np.float32),
        "user_hist": np.array([history], np.int64).reshape(1, len(history)),
    }


def saved_model_scores(model: Artefact, user, items: Path, output="logit"):
    """An output for a user and all items by the SavedModel's own signatures, by item id."""
    loaded = model.backend.loaded
    fields = model.inputs("item")
    raw = dict(zip([field["name"] for field in fields], columns(read_table(items), fields, items), strict=True))
    state = {**loaded.signatures["user_tower"](**raw_user(user)), **loaded.signatures["item_tower"](**raw)}
    return dict(zip(raw["movie_id"].tolist(), loaded.signatures["score"](**state)[output].numpy(), strict=True))
