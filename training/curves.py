"""What TensorBoard shows of a run: curves of both parts, options, and the results of the test part."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

FOLDER = "tensorboard"
_SAME = {"cross_entropy": "logloss"}
"""Terms of the training loss that are a metric of the validation part by another name."""
_PLACES = ("data_path", "prepared_dir", "output_dir", "export_dir")


class Curves(tf.keras.callbacks.TensorBoard):
    """Writes the values of each epoch to the folders `train` and `validation`, the same quantity under the same tag.

    The tag `epoch_logloss` has two curves. That of the training part is the mean over the steps of the epoch, with
    dropout and masked ids. That of the validation part is measured at the end of the epoch. So the first may lie above
    the second.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path):
        super().__init__(folder / FOLDER, write_graph=False)

    def on_epoch_end(self, epoch, logs=None):
        logs = dict(logs or {})
        logs |= {metric: logs[term] for term, metric in _SAME.items() if term in logs}
        super().on_epoch_end(epoch, logs)


def write_results(folder: Path, run_id: str, options: Mapping[str, Any], results: Mapping[str, Any]) -> None:
    """Write the options of a run for the HParams page, with the results of its test part beside them.

    Args:
        folder: of the run.
        run_id: its id.
        options: by name, as :meth:`training.config.Config.values` gives them. Folders are left out.
        results: what `metrics.json` holds. Each number of `test` gets the tag `test_NAME`.
    """
    writer = tf.summary.create_file_writer(str(folder / FOLDER))
    with writer.as_default(step=results["best_epoch"]):
        known = {name: value for name, value in options.items() if name not in _PLACES and value is not None}
        hparams.hparams({name: _plain(value) for name, value in known.items()}, trial_id=run_id)
        for name, value in (results.get("test") or {}).items():
            if value is not None and math.isfinite(value):
                tf.summary.scalar(f"test_{name}", value)
    writer.close()


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else str(value)
