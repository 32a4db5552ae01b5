"""What tests of several packages share: a small data set's specification, and random batches for any."""

import numpy as np
import tensorflow as tf
from threadpoolctl import threadpool_limits

from features import MISSING, UNSEEN, FeatureSpec, Field

SPEC = FeatureSpec(
    dataset="small",
    fields=(
        Field("user_id", "user", "sparse", "int64", "user_id", 30),
        Field("gender", "user", "sparse", "string", "gender", 4),
        Field("age", "user", "sparse", "int64", "age", 9),
        Field("user_mean_rating", "user", "dense", "float32", default=0.5),
        Field("user_hist", "user", "sequence", "int64", "movie_id", 40, max_length=6),
        Field("movie_id", "item", "sparse", "int64", "movie_id", 40),
        Field("genres", "item", "sequence", "string", "genres", 8, max_length=3),
        Field("item_mean_rating", "item", "dense", "float32", default=0.5),
    ),
    user_id="user_id",
    item_id="movie_id",
    user_static=("gender", "age"),
    item_static=("movie_id",),
    history="user_hist",
    category="genres",
    user_mean="user_mean_rating",
    item_mean="item_mean_rating",
)


def random_column(field: Field, rows: int, random: np.random.Generator) -> np.ndarray:
    """Values of one field as a model takes them: missing and unseen values and empty sequences included."""
    if field.kind == "dense":
        return random.normal(size=rows).astype(np.float32)
    if field.kind == "sparse":
        return random.integers(MISSING, field.vocabulary_size, rows, np.int32)
    values = random.integers(UNSEEN, field.vocabulary_size, (rows, field.max_length), np.int32)
    lengths = random.integers(0, field.max_length + 1, (rows, 1))
    return np.where(np.arange(field.max_length) < lengths, values, MISSING).astype(np.int32)


def random_batch(spec: FeatureSpec, rows: int, seed: int = 0) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Inputs of a model for `spec` by field name, and labels (rows,), a third of them 1."""
    random = np.random.default_rng(seed)
    inputs = {field.name: tf.constant(random_column(field, rows, random)) for field in spec.fields}
    labels = random.permutation(np.arange(rows) % 3 == 0).astype(np.float32)
    return inputs, tf.constant(labels)


def take(inputs: dict[str, tf.Tensor], rows) -> dict[str, tf.Tensor]:
    """Some rows of a batch, in the order given."""
    return {name: tf.gather(values, rows) for name, values in inputs.items()}


def fit_directly(model: tf.keras.Model, rows: int = 4000) -> None:
    """Fit a model that knows no gradient steps to random rows whose labels depend on every field.

    In one thread: scikit-learn's wait for each other without sleeping, which takes long where other tests run too.
    """
    inputs, _ = random_batch(model.spec, rows, seed=7)
    columns = {name: values.numpy() for name, values in inputs.items()}
    terms = [values if values.ndim == 1 else (values != MISSING).sum(axis=1) for values in columns.values()]
    score = sum((term - term.mean()) / term.std() for term in terms)
    columns[model.spec.label] = (score > 0).astype(np.float32)
    columns[model.spec.beside("timestamp")] = np.arange(rows)
    with threadpool_limits(1):
        assert model.fit_directly(lambda names, most_rows=None: {name: columns[name] for name in names})


def is_table(weight) -> bool:
    """Whether a weight is an embedding table, of ours or of deepctr."""
    return "table" in weight.name or "embeddings" in weight.name


def dense(gradient) -> np.ndarray:
    """A gradient as an array, rows that occur several times summed."""
    return tf.convert_to_tensor(gradient).numpy()


def randomise(model: tf.keras.Model, seed: int = 0) -> None:
    """Give every weight a value of moderate size, so that every feature and weight shows in the scores."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        if not weight.dtype.is_floating:
            continue
        fan_in = weight.shape[0] if len(weight.shape) > 1 and not is_table(weight) else 4
        value = random.normal(0.0, 1 / np.sqrt(fan_in), weight.shape)
        positive = any(name in weight.name for name in ("variance", "gamma", "scale"))
        weight.assign(np.abs(value) + 0.5 if positive else value)
