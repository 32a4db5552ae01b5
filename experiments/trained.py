"""Finished runs as models again, and their predictions."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from experiments.plan import Planner
from experiments.runs import Run
from models import PreRankingModel
from preprocess.prepared import PreparedData
from prerank.errors import InputError
from training.batches import Batches, read_beside
from training.callbacks import predict
from training.teacher import model_of

_BATCH = 8192


class OtherDataError(InputError):
    """The data at hand are not those that a run was on."""


@dataclass(frozen=True)
class TrainedRun:
    """A finished run whose weights are on disk, with its data.

    Attributes:
        run: its record.
        data: what it was trained on.
        raw: where the raw data lie.
    """

    run: Run
    data: PreparedData
    raw: Path

    @classmethod
    def open(cls, run: Run, planner: Planner) -> "TrainedRun":
        """Find the data of a run.

        Raises:
            OtherDataError: the raw data are others than those of the run.
        """
        config = planner.config([f"--config={run.folder / 'config.yaml'}"])
        data = planner.data(config)
        if data.fingerprint != run.metrics["data_fingerprint"]:
            raise OtherDataError(
                f"--data_path: the run was on other data: fingerprint {run.metrics['data_fingerprint']} expected. "
                f"Received: {data.fingerprint}",
                path=run.folder,
            )
        return cls(run, data, planner.raw(config))

    def model(self) -> PreRankingModel:
        """The model with its trained weights.

        Raises:
            InputError: they are not on disk.
        """
        checkpoints = self.run.folder / "checkpoints"
        if not checkpoints.is_dir():
            raise InputError("the run's weights are gone: train it again", path=checkpoints)
        model = model_of(self.run.model, self.run.config, self.data.spec, self.run.seed)
        try:
            model.load_trained(checkpoints)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise InputError(f"the run's weights cannot be read: {error}", path=checkpoints) from error
        return model

    def test_logits(self) -> np.ndarray:
        """Logits (rows,) float32 of the test part in order: the saved predictions, or those of the trained model."""
        file = self.run.folder / "predictions.parquet"
        if file.exists():
            return _saved(file, self.data)
        return predict(self.model(), Batches(self.data, "test", _BATCH).dataset())


def _saved(file: Path, data: PreparedData) -> np.ndarray:
    try:
        table = pq.read_table(file, columns=["row", "logit"])
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"the saved predictions cannot be read: {error}", path=file) from error
    if not np.array_equal(table["row"].to_numpy(), read_beside(data, "test", "row")["row"]):
        raise InputError("not of the test part's rows", path=file)
    return table["logit"].to_numpy()
