"""What a run's model is worth: metrics of the parts, of each task, of unseen users, and the floor's; calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

import models
from features import UNSEEN
from models import PreRankingModel
from models.multi_task import MultiTaskModel
from preprocess.prepared import PreparedData
from training import tasks
from training.batches import Batches, read_beside, read_columns
from training.calibration import Method, fit, measured
from training.callbacks import predict
from training.config import Config
from training.options import RunOptions
from training.rated import Rated
from training.run_folder import RunFolder
from training.spec import as_seen, seen

EVALUATION_BATCH = 8192


def evaluate(config: Config, data: PreparedData, model: PreRankingModel, folder: RunFolder) -> dict[str, Any]:
    """Metrics of the validation and test parts, of seen and unseen users apart, and the floor's."""
    results: dict[str, Any] = {}
    calibration: dict[str, Any] = {}
    for part in ("validation", "test"):
        rated = Rated.read(data, part)
        logits = predict(model, Batches(data, part, EVALUATION_BATCH).dataset())
        results[part] = rated.evaluate(logits)
        _calibrate(config.run.calibrate, calibration, part, rated, logits)
        if part == "test":
            unseen = _of_unseen_users(data)
            for name, chosen in (("test_seen_users", ~unseen), ("test_unseen_users", unseen)):
                results[name] = rated.evaluate(logits, chosen)
            if config.run.save_predictions:
                _save_predictions(folder, read_beside(data, "test", "group", "row"), logits)
    if calibration:
        results["calibration"] = calibration
    if isinstance(model, MultiTaskModel):
        results["tasks"] = _of_tasks(config.run, data, model)
    results["floor"] = results["test"] if config.run.model_name == "target_means" else floor(data)
    return results


def _calibrate(
    method: Method, calibration: dict[str, Any], part: str, rated: Rated, logits: NDArray[np.float32]
) -> None:
    """Add to `calibration` what its map, fitted on the first part that is given, changes on a part."""
    if method != "none":
        rows = (logits[rated.rows], rated.labels, rated.weights)
        calibration.setdefault("map", fit(method, *rows))
        calibration[part] = measured(calibration["map"], *rows)


def _of_tasks(run: RunOptions, data: PreparedData, model: MultiTaskModel) -> dict[str, Any]:
    """By task, the metrics of both parts and the calibration."""
    found: dict[str, Any] = {task: {} for task in run.tasks}
    calibrations: dict[str, dict[str, Any]] = {task: {} for task in run.tasks}
    for part in ("validation", "test"):
        logits = tasks.predicted(model, Batches(data, part, EVALUATION_BATCH).dataset())
        for place, task in enumerate(run.tasks):
            rated = Rated.read(tasks.of_task(data, task), part)
            found[task][part] = rated.evaluate(logits[:, place])
            _calibrate(run.calibrate, calibrations[task], part, rated, logits[:, place])
    for task, calibration in calibrations.items():
        if calibration:
            found[task]["calibration"] = calibration
    return found


def _of_unseen_users(data: PreparedData) -> np.ndarray:
    """Which test rows (n,) have a user whose id is out of vocabulary; of hashed ids, whom the training part lacks."""
    user = data.spec.user_id
    if not data.spec[user].hash_buckets:
        return read_columns(data, "test", [user])[user] == UNSEEN
    known, asked = (read_beside(data, part, "group")["group"] for part in ("train", "test"))
    return ~np.isin(asked, np.unique(known))


def floor(data: PreparedData) -> dict[str, float] | None:
    """Test metrics of `target_means`; None where no model may see a mean label of user and item."""
    spec = seen(data.spec, with_privileged=False)
    if spec.user_mean is None or spec.item_mean is None:
        return None
    model = models.build("target_means", spec)
    model.fit_directly(as_seen(Batches(data, "train", EVALUATION_BATCH).columns, data.spec, spec))
    logits = predict(model, Batches(data, "test", EVALUATION_BATCH).dataset())
    return Rated.read(data, "test").evaluate(logits)


def _save_predictions(folder: RunFolder, columns: dict[str, np.ndarray], logits: np.ndarray) -> None:
    table = pa.table({"row": columns["row"], "group": columns["group"], "logit": logits})
    pq.write_table(table, folder.working / "predictions.parquet")
