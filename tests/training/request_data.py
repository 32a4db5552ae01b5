"""A small data set of requests with stages, weights, a teacher's logits and a privileged field, for training."""

import numpy as np
import pandas as pd
import pytest
import yaml

from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare

STAGES = ["retrieved", "ranked", "shown"]
SCHEMA = {
    "dataset": "shop",
    "user_id": "who",
    "item_id": "what",
    "label": "click",
    "time": "at",
    "static": ["kind"],
    "history": "wanted",
    "user_mean": "eagerness",
    "item_mean": "appeal",
    "request": "ask",
    "stage": {"column": "stage", "order": STAGES},
    "weight": "counts",
    "teacher": "rank_logit",
    "privileged": ["secret"],
    "fields": {
        "who": {"side": "user"},
        "what": {"side": "item", "type": "int64"},
        "kind": {"side": "item"},
        "secret": {"side": "item"},
    },
}


def rows(requests=150, seed=5):
    """Rows of requests; of those shown some have a click, the others have no label."""
    random = np.random.default_rng(seed)
    lines = []
    for request in range(requests):
        user = f"u{random.integers(0, 20)}"
        for item in random.choice(30, random.integers(3, 9), replace=False):
            stage = int(random.integers(0, 3))
            lines.append(
                {
                    "ask": f"r{request:03}",
                    "who": user,
                    "what": int(item),
                    "kind": "abc"[item % 3],
                    "secret": "xyz"[item // 10],
                    "at": 1000 + 10 * request,
                    "stage": STAGES[stage],
                    "click": float(random.random() < 0.3 + 0.02 * item) if stage == 2 else None,
                    "counts": float(random.choice([0.5, 1.0, 2.0])),
                    "rank_logit": float(random.normal()) if stage else None,
                }
            )
    return pd.DataFrame(lines)


@pytest.fixture(scope="session")
def requests_data(tmp_path_factory):
    """The rows, prepared."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "schema.yaml").write_text(yaml.safe_dump(SCHEMA, sort_keys=False))
    rows().to_parquet(folder / "rows.parquet")
    asked = OwnDataOptions(
        schema=folder / "schema.yaml", data_path=folder / "rows.parquet", prepared_dir=folder / "out", min_count=1
    )
    return prepare(NoSchema(), asked, lambda _: None)
