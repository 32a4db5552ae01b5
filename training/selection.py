"""By what value the best epoch of a training is chosen: `--select_by`."""

from __future__ import annotations

import math
from collections.abc import Callable

from models import PreRankingModel
from preprocess.prepared import PreparedData
from prerank.errors import InputError
from training.cascade import CascadeRecall

AUC = "auc"
Value = Callable[[PreRankingModel], float]
"""The value of a model at the end of an epoch, larger for better."""


def selection(select_by: str, data: PreparedData) -> Value | None:
    """What gives the value that `--select_by` names, on the validation part; None for the AUC of the rated rows.

    Args:
        select_by: "auc", or "cascade_recall@K".
        data: the prepared data.
    """
    if select_by == AUC:
        return None
    recall = CascadeRecall(data, cutoff=int(select_by.partition("@")[2]))

    def value(model: PreRankingModel) -> float:
        found = recall(model)
        if math.isnan(found):
            raise InputError(f"--select_by {select_by}: no request of the validation part has a positive that counts")
        return found

    return value
