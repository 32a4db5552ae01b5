"""What the files beside an exported model are called, and how an index may store floats."""

from typing import Literal

FEATURES = "features.json"
"""Inputs, outputs, and the kind of the scorer."""
SCORER = "scorer.npz"
"""The scorer's weights."""
CATALOGUE = "catalogue.parquet"
"""Every item with its features, in raw spelling."""
EXAMPLES = "examples.parquet"
"""Some labelled rows of the test part, in raw spelling."""
ITEM_COUNTS = "item_counts.parquet"
"""What the means of items were made of, and go on from: `key` (the id), `rows` and `positives`."""
CONFIG, METRICS = "config.yaml", "metrics.json"
"""The run that was exported."""
INDEX = "index"
"""Folder of the item index."""

StorageType = Literal["float32", "float16", "int8"]
VOCABULARIES = "vocabularies.json"
"""The values of each vocabulary, of an ONNX export."""
BESIDE = frozenset((CATALOGUE, EXAMPLES, ITEM_COUNTS, CONFIG, METRICS))
"""Files of an export that scoring does not read."""
UNDECISIVE = BESIDE | {"fingerprint.pb"}
"""Files of an export that do not decide the scores. TensorFlow's `fingerprint.pb` holds a random number."""
MODEL_FILES = {"saved_model": ("saved_model.pb",), "onnx": ("{}.onnx", VOCABULARIES)}
"""Files that each format has, {} for the name of a signature."""
