"""By what value the best epoch of a training is chosen: `--select_by`."""

from __future__ import annotations

from collections.abc import Callable

from models import PreRankingModel
from preprocess.prepared import PreparedData
from prerank.errors import InputError
from training.cascade import CascadeRecall

AUC = "auc"
Value = Callable[[PreRankingModel], float]
"""The value of a model at the end of an epoch, larger for better; NaN if it has none."""


def selection(select_by: str, data: PreparedData, model: PreRankingModel) -> Value | None:
    """What gives the value that `--select_by` names, on the validation part; None for the AUC of the rated rows.

    Args:
        select_by: "auc", or "cascade_recall@K".
        data: the prepared data.
        model: what is trained.

    Raises:
        InputError: no request that such a model is asked has a later positive, so that there is no such value.
    """
    if select_by == AUC:
        return None
    recall = CascadeRecall(data, cutoff=int(select_by.partition("@")[2]))
    if not recall.exists(model):
        raise InputError(f"--select_by {select_by}: no request of the validation part has a later positive")
    return recall
