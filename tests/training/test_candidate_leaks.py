"""Where labels and items are drawn by lot, candidates, lists and teachers teach nothing."""

import numpy as np
import pandas as pd
import pytest
import yaml

from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from training.config import parse
from training.requests import Requests
from training.scoring import top_items
from training.trainer import train

pytestmark = pytest.mark.slow

USERS, ITEMS, ROWS, CUTOFF = 250, 120, 9_000, 40
SCHEMA = {
    "dataset": "lot",
    "user_id": "who",
    "item_id": "what",
    "label": "click",
    "time": "at",
    "static": ["kind"],
    "history": "wanted",
    "user_mean": "eagerness",
    "item_mean": "appeal",
    "fields": {
        "who": {"side": "user", "type": "int64"},
        "what": {"side": "item", "type": "int64"},
        "kind": {"side": "item"},
    },
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Rows of any user and any item at any time, a third of them positive, each item alive from the start."""
    folder, random = tmp_path_factory.mktemp("lot"), np.random.default_rng(4)
    items = np.concatenate([np.arange(ITEMS), random.integers(0, ITEMS, ROWS - ITEMS)])
    frame = pd.DataFrame(
        {
            "who": random.integers(0, USERS, ROWS),
            "what": items,
            "kind": np.array(list("abcd"))[items % 4],
            "at": np.arange(ROWS) * 60,
            "click": random.permutation(np.arange(ROWS) % 3 == 0).astype(float),
        }
    )
    frame.to_parquet(folder / "rows.parquet")
    (folder / "schema.yaml").write_text(yaml.safe_dump(SCHEMA, sort_keys=False))
    asked = OwnDataOptions(
        schema=folder / "schema.yaml", data_path=folder / "rows.parquet", prepared_dir=folder / "out"
    )
    return prepare(NoSchema(), asked, lambda _: None)


def judged(run, data):
    """AUC of the rated rows, recall of later positives in the catalogue, and what both may differ from chance."""
    requests = Requests.of(data, "test", USERS)
    best = top_items(run.model, requests, CUTOFF)
    lots = list(zip(requests.positives, best, requests.left_out, strict=True))
    recall = np.mean([np.isin(positives, passed).mean() for positives, passed, _ in lots if len(positives)])
    left = [CUTOFF / (len(requests.training_rows) - len(out)) for positives, _, out in lots if len(positives)]
    spread = np.sqrt(np.mean(left) * (1 - np.mean(left)) / len(left))
    return run.metrics["test"]["auc"], recall - np.mean(left), spread


@pytest.mark.parametrize(
    "argv",
    [
        ["--candidates_per_row", "2", "--loss", "pairwise"],
        ["--candidates_per_row", "2", "--loss", "softmax", "--candidates_from", "popularity"],
        ["--candidates_per_row", "2", "--loss", "pairwise", "--candidates_from", "batch"],
        ["--candidates_per_row", "1", "--list_by", "user", "--loss", "joint_ranking_calibration"],
    ],
)
def test_what_is_drawn_by_lot_is_not_learnt(data, tmp_path, argv):
    flags = ["--model_name", "dssm", "--hidden_units", "16,8", "--embedding_dim", "4", "--batch_size", "256"]
    asked = [*flags, "--epoch", "2", "--output_dir", str(tmp_path), *argv]
    run = train(parse(asked, program="x", description="x"), data, lambda _: None)
    auc, excess, spread = judged(run, data)
    assert auc == pytest.approx(0.5, abs=0.08)
    assert abs(excess) < 4 * spread


def test_a_student_of_a_teacher_that_knows_nothing_knows_nothing(data, tmp_path):
    flags = ["--hidden_units", "16,8", "--embedding_dim", "4", "--batch_size", "256", "--epoch", "2"]

    def run(*argv):
        asked = [*flags, "--model_name", "dssm", "--output_dir", str(tmp_path), *argv]
        return train(parse(asked, program="x", description="x"), data, lambda _: None)

    teacher = run("--candidates_per_row", "2", "--loss", "pairwise", "--random_seed", "1")
    student = run("--candidates_per_row", "2", "--teacher", str(teacher.folder), "--teacher_on", "both")
    auc, excess, spread = judged(student, data)
    assert auc == pytest.approx(0.5, abs=0.08)
    assert abs(excess) < 4 * spread
