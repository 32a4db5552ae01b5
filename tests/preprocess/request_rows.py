"""Rows of requests of a shop: candidates that got to different stages, with weights and a ranker's logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

STAGES = ["retrieved", "pre_ranked", "ranked", "shown"]
QUEUE = {
    "dataset": "queue",
    "user_id": "who",
    "item_id": "what",
    "label": "click",
    "time": "at",
    "context": ["page", "cross"],
    "history": "wanted",
    "user_mean": "eagerness",
    "item_mean": "appeal",
    "request": "ask",
    "stage": {"column": "stage", "order": STAGES},
    "weight": "counts",
    "teacher": "rank_logit",
    "privileged": ["cross"],
    "fields": {
        "who": {"side": "user"},
        "what": {"side": "item", "type": "int64"},
        "page": {"side": "user"},
        "cross": {"side": "item", "kind": "dense"},
    },
}
"""A schema with all that rows may carry; of :func:`frame`'s rows."""


def frame(seed: int = 3, requests: int = 60) -> pd.DataFrame:
    """Rows of some requests, shuffled, so that those of a request do not lie together, nor in the order of time."""
    random = np.random.default_rng(seed)
    lines = []
    for request in range(requests):
        user, time = f"u{random.integers(0, 12)}", 1000 + 10 * int(random.integers(0, requests // 2))
        for item in random.choice(25, random.integers(4, 12), replace=False):
            stage = int(random.integers(0, 4))
            lines.append(
                {
                    "ask": f"r{request * 7 % requests:02}",
                    "who": user,
                    "what": int(item),
                    "at": time + int(random.integers(0, 9)),  # rows of a request are shown some seconds apart
                    "page": "ab"[request % 2],
                    "cross": float(item) / 7,
                    "stage": STAGES[stage],
                    "click": float(random.random() < 0.4) if stage == 3 else None,
                    "counts": [0.0, 0.5, None, 3.0][int(random.integers(0, 4))],
                    "rank_logit": [-1.0, None, 2.5, -0.25][int(random.integers(0, 4))],
                }
            )
    return pd.DataFrame(lines).sample(frac=1, random_state=seed).reset_index(drop=True)


def write_queue(folder: Path) -> Path:
    """The rows in Parquet."""
    frame().to_parquet(folder / "rows.parquet", row_group_size=100)
    return folder / "rows.parquet"
