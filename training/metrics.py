"""The metrics of rated rows, which the runtime has too, for `prerank evaluate`."""

from prerank.evaluation.metrics import (
    Gauc,
    Ranking,
    auc,
    evaluate,
    expected_calibration_error,
    gauc,
    log_loss,
    ndcg_at_k,
    pcoc,
    ranking_at_k,
    recall_at_k,
    rela_impr,
    user_aucs,
)

__all__ = [
    "Gauc", "Ranking", "auc", "evaluate", "expected_calibration_error", "gauc", "log_loss", "ndcg_at_k", "pcoc",
    "ranking_at_k", "recall_at_k", "rela_impr", "user_aucs",
]  # fmt: skip
