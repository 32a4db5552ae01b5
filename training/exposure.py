"""The popularity of items in the training part, which the exposure part of an entire-space model adds to its scores."""

import numpy as np

from features import UNLABELLED
from models import PreRankingModel
from models.exposure_options import ExposureOptions
from preprocess.prepared import PreparedData
from training.batches import read_columns

_SECONDS_PER_DAY = 86_400
_PRIOR_ROWS = 1.0
"""How many rows of each item the prior counts for, on average."""


def prepare(model: PreRankingModel, options: ExposureOptions, data: PreparedData) -> None:
    """Give an entire-space model the popularity of the items; nothing for another model."""
    from models.entire_space import EntireSpaceModel

    if isinstance(model, EntireSpaceModel):
        model.set_popularity(log_popularity(data, options.exposure_half_life))


def log_popularity(data: PreparedData, half_life: float = 0.0) -> np.ndarray:
    """The log probability that a row of the training part's end has an item, by the index of its id.

    Rows with a label are what was shown. A row counts its weight, if it has one, times `2^(-age / half_life)`, where
    the age is that before the last row of the training part. The prior are the shares of all rows, however old, with
    one row more for each index. So an index without a row has a probability, the least of all.

    Args:
        data: the prepared data set.
        half_life: in days; 0: rows of any age count the same.

    Returns:
        (vocabulary of the item id,) float32; the probabilities sum to 1.
    """
    spec = data.spec
    time, weight = spec.beside("timestamp"), spec.beside("weight")
    names = [spec.item_id, spec.label, time, *([weight] if "weight" in spec.row_columns else [])]
    columns = read_columns(data, "train", names)
    items, size = columns[spec.item_id], spec[spec.item_id].vocabulary_size
    shown = (columns[spec.label] != UNLABELLED) * np.asarray(columns.get(weight, 1.0), np.float64)
    prior = np.bincount(items, shown, minlength=size) + 1.0
    ages = (columns[time].max() - columns[time]) / _SECONDS_PER_DAY
    counts = np.bincount(items, shown * 2.0 ** (-ages / half_life) if half_life else shown, minlength=size)
    counts += _PRIOR_ROWS * size * prior / prior.sum()
    return np.log(counts / counts.sum()).astype(np.float32)
