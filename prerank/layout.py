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
INDEX = "index"
"""Folder of the item index."""

StorageType = Literal["float32", "float16", "int8"]
