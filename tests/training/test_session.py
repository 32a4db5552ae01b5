"""What a training script prints."""

import math

from training import metrics
from training.records import read_metrics
from training.run_folder import to_json
from training.session import _print_results
from training.trainer import RunResult


def test_a_finished_run_with_null_metrics_is_printed(tmp_path, capsys):
    """As where the test part holds one class: its AUC is NaN, and null in the record that an export reads again."""
    part = metrics.evaluate([1, 1, 1], [0.5, 0.6, 0.7], [0, 0, 1])
    assert math.isnan(part["auc"])
    record = {
        "status": "finished", "reason": "", "run_id": "seed0-1", "dataset": "movies", "protocol": "strict",
        "split": "time", "state": "online", "leaks": [], "model": "dssm", "seed": 0, "data_fingerprint": "f",
        "validation": part, "test": part, "test_unseen_users": {**part, "rows": 0}, "floor": None,
    }  # fmt: skip
    for found in (record, _written(record, tmp_path)):
        _print_results(RunResult(tmp_path, found, None))
        (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("test ")]
        assert line.split()[1] == "–"
        assert line.split()[-1] == "3"


def _written(record, folder):
    (folder / "metrics.json").write_text(to_json(record))
    found = read_metrics(folder)
    assert found["test"]["auc"] is None
    assert type(found["test"]["rows"]) is int
    return found
