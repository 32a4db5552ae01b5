"""HIT's heads and late interaction in a Keras model of your own, on DeepCTR feature columns, with `model.fit`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from layers import MaxSim, MultiHeadRepresenter, Tower  # noqa: E402  (before TensorFlow: it chooses the Keras)

import numpy as np  # noqa: E402  # isort: skip
import tensorflow as tf  # noqa: E402  # isort: skip
from deepctr.feature_column import SparseFeat, VarLenSparseFeat, build_input_features, input_from_feature_columns  # noqa: E402  # isort: skip
from deepctr.layers import custom_objects  # noqa: E402  # isort: skip
from deepctr.layers.utils import combined_dnn_input  # noqa: E402  # isort: skip

USER = [
    SparseFeat("user", 100, embedding_dim=8),
    VarLenSparseFeat(SparseFeat("history", 50, embedding_dim=8, embedding_name="item"), maxlen=5, combiner="mean"),
]
ITEM = [SparseFeat("item", 50, embedding_dim=8), SparseFeat("category", 5, embedding_dim=8)]


def build() -> tf.keras.Model:
    """A two-tower model: several heads a side, whose best matches are summed."""
    features = build_input_features(USER + ITEM)
    heads = []
    for side, columns in (("user", USER), ("item", ITEM)):
        embeddings, numbers = input_from_feature_columns(features, columns, l2_reg=0, seed=0, prefix=f"{side}_")
        hidden = Tower([32, 16], name=f"{side}_tower")(combined_dnn_input(embeddings, numbers))
        heads.append(MultiHeadRepresenter(heads=2, head_dim=8, normalize=True, name=f"{side}_heads")(hidden))
    score = MaxSim(scaled=True, name="score")(heads)
    probability = tf.keras.layers.Activation("sigmoid")(tf.keras.layers.Reshape((1,))(score))
    return tf.keras.Model(list(features.values()), probability)


def toy_data(rows: int = 2_000) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Rows whose label depends on user and item together."""
    random = np.random.default_rng(0)
    user, item = random.integers(1, 100, rows), random.integers(1, 50, rows)
    history = random.integers(0, 50, (rows, 5))  # 0 is padding
    labels = (user % 5 == item % 5).astype(np.float32)
    return {"user": user, "history": history, "item": item, "category": item % 5}, labels


def main() -> None:
    """Train, save, load, and compare."""
    inputs, labels = toy_data()
    model = build()
    model.compile("adam", "binary_crossentropy")
    model.fit(inputs, labels, batch_size=256, epochs=3, verbose=2)
    model.save("own_model.keras")
    loaded = tf.keras.models.load_model("own_model.keras", custom_objects=custom_objects)
    same = np.allclose(model.predict(inputs, verbose=0), loaded.predict(inputs, verbose=0), atol=1e-6)
    print(f"saved and loaded, the same predictions: {same}")


if __name__ == "__main__":
    main()
