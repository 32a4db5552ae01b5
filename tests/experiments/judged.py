"""Records of the judge as the command leaves them, with made-up values."""

import numpy as np

from experiments.cascade import records
from experiments.cascade.intervals import Users
from experiments.cascade.metrics import CUTOFFS, STRATA

_NAMES = ["agreed", "passed_recall", "passed_unseen", "pool_recall", "pool_unseen", "auc", "kendall_tau"]
_NAMES += [f"{name}@{k}" for k in CUTOFFS for name in ("recall", "ndcg", "unseen", "survival", "overlap")]
_NAMES += [f"recall@{k}_{stratum}" for k in CUTOFFS for stratum in STRATA]
_TRUTH = [f"{name}@{k}" for k in CUTOFFS for name in ("true_positives", "regret", "pool_regret")]
GROUPS = np.repeat(np.arange(6), 2)


def write_record(out, name, *, result="r", value=0.5, end=False, truth=False, pool=100):
    """A record of twelve requests whose metrics are all of about one value."""
    stage = {"name": "dcn_v2", "model": "dcn_v2", "run": "seed0-a", "seed": 0}
    mine = {"name": name, "model": None if end else name, "run": None if end else "seed0-b", "seed": None if end else 0}
    identity = {"dataset": "movielens", "protocol": "strict", "preranker": name, "pool": pool}
    fields = {
        "dataset": "movielens", "protocol": "strict", "setting": "strict", "data_fingerprint": "f", "part": "test",
        "end": end, "retrieval": {**stage, "name": "youtube_dnn", "model": "youtube_dnn"}, "preranker": mine,
        "ranker": stage, "results": {"preranker": result}, "pool": pool, "asked_quotas": [50, 20], "quotas": [50, 20],
        "asked_requests": 12, "requests": 12, "users": 6, "requests_with_positives": 12, "items": 300,
        "unseen_items": 3, "pcoc": None if end else 1.1,
        "milliseconds": {"preranking": 0.25, "user_state": None, "ranking": [2.0, 1.0], "ranking_pool": 4.0},
    }  # fmt: skip
    noise = np.random.default_rng(0).normal(0, 0.01, (12, 2))
    values = dict.fromkeys([*_NAMES, *(_TRUTH if truth else [])], value + noise)
    folder = records.place(out, identity, name)
    records.write(folder, fields, GROUPS, Users(GROUPS, samples=50), values)
    return folder
