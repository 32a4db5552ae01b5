"""HIT's heads and late interaction in a Keras model of your own, without DeepCTR, on Keras 3 and on Keras 2."""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")  # Keras 3; the rest of this project needs "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from layers import MaxSim, MultiHeadRepresenter, Tower  # noqa: E402


def build() -> tf.keras.Model:
    """A two-tower model on two ids."""
    inputs = {name: tf.keras.Input((), dtype="int32", name=name) for name in ("user", "item")}
    heads = []
    for side, size in (("user", 100), ("item", 50)):
        hidden = Tower([32, 16], name=f"{side}_tower")(tf.keras.layers.Embedding(size, 8)(inputs[side]))
        heads.append(MultiHeadRepresenter(heads=2, head_dim=8, normalize=True, name=f"{side}_heads")(hidden))
    score = MaxSim(scaled=True, name="score")(heads)
    return tf.keras.Model(inputs, tf.keras.layers.Activation("sigmoid")(score))


def main() -> None:
    """Train, save, load, and compare."""
    random = np.random.default_rng(0)
    inputs = {"user": random.integers(0, 100, 2_000), "item": random.integers(0, 50, 2_000)}
    labels = (inputs["user"] % 5 == inputs["item"] % 5).astype(np.float32)
    model = build()
    model.compile("adam", "binary_crossentropy")
    model.fit(inputs, labels, batch_size=256, epochs=3, verbose=2)
    model.save("own_model_3.keras")
    loaded = tf.keras.models.load_model("own_model_3.keras")
    same = np.allclose(model.predict(inputs, verbose=0), loaded.predict(inputs, verbose=0), atol=1e-6)
    print(f"Keras {getattr(tf.keras, '__version__', '2')}, saved and loaded, the same predictions: {same}")


if __name__ == "__main__":
    main()
