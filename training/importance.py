"""Which fields a trained model needs: `python -m training.importance RUN`.

The permutation importance of a field is what the AUC of the validation part loses when the field's values are shuffled
among the rows (Breiman, Machine Learning 45, 2001; Fisher, Rudin and Dominici, JMLR 20, 2019). A field that carries
nearly all of the AUC is often a leak in the logs: something that is known after the label only.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import legacy_keras  # noqa: F401  (before TensorFlow)  # isort: skip
import numpy as np
import tensorflow as tf

from models import PreRankingModel
from preprocess.prepared import PreparedData
from prerank.terminal import Parser, positive, random_seed, run, write
from training import metrics
from training.batches import Batches
from training.earlier import earlier_data
from training.rated import Rated
from training.teacher import trained_model

_BATCH = 8192
_SUSPECT = 0.5
"""Share of what the AUC is above 0.5 from which on the loss by one field is pointed out."""


def importance(
    model: PreRankingModel, data: PreparedData, part: str = "validation", repeats: int = 3, most_rows: int = 200_000,
    seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """The permutation importance of each field of a model.

    Args:
        model: the trained model.
        data: what it was trained on.
        part: "train", "validation" or "test".
        repeats: how often each field is shuffled.
        most_rows: more labelled rows than these are sampled.
        seed: of the sample and of all shuffles.

    Returns:
        `auc` of the rows as they are, `rows`, and `fields`: of each field the mean `loss` of AUC and its standard
        deviation, `std`, over the shuffles, the largest loss first. Sequences are shuffled whole.
    """
    names = [field.name for field in model.spec.fields]
    read = Batches(data, part, _BATCH).columns(names)
    rated = Rated.read(data, part)
    random = np.random.default_rng(seed)
    rows = np.flatnonzero(rated.rows)
    chosen = np.arange(len(rows))
    if len(rows) > most_rows:
        chosen = np.sort(random.choice(len(rows), most_rows, replace=False))
    features = {name: read[name][rows[chosen]] for name in names}
    labels = rated.labels[chosen]
    weights = None if rated.weights is None else rated.weights[chosen]
    forward = tf.function(model.preference, reduce_retracing=True)

    def auc(inputs: dict[str, np.ndarray]) -> float:
        return metrics.auc(labels, _logits(forward, inputs), weights)

    whole, found = auc(features), {}
    for name in names:
        shuffled = [auc(features | {name: random.permutation(features[name])}) for _ in range(repeats)]
        losses = whole - np.array(shuffled)
        found[name] = {"loss": float(losses.mean()), "std": float(losses.std())}
    ordered = dict(sorted(found.items(), key=lambda item: -item[1]["loss"]))
    return {"auc": whole, "rows": len(labels), "fields": ordered}


def _logits(forward: Callable[..., tf.Tensor], inputs: dict[str, np.ndarray]) -> np.ndarray:
    count = len(next(iter(inputs.values())))
    parts = [
        forward({name: tf.constant(values[start : start + _BATCH]) for name, values in inputs.items()}).numpy()
        for start in range(0, count, _BATCH)
    ]
    return np.concatenate(parts)


def suspects(found: dict[str, Any]) -> list[str]:
    """The fields without which the AUC loses more than half of what it is above 0.5."""
    gained = found["auc"] - 0.5
    return [name for name, one in found["fields"].items() if gained > 0 and one["loss"] > _SUSPECT * gained]


def _main() -> None:
    parser = Parser(prog="python -m training.importance", description="Which fields a trained model needs.")
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--part", choices=("train", "validation", "test"), default="validation", help="%(default)s")
    parser.add_argument("--repeats", type=positive, default=3, help="shuffles of each field; default: 3")
    parser.add_argument("--rows", type=positive, default=200_000, help="most rows; default: 200,000")
    parser.add_argument("--seed", type=random_seed, default=0, help="of the shuffles; default: 0")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="default: table")
    flags = parser.parse_args()
    data = earlier_data(flags.run, "RUN")
    model = trained_model(flags.run, data.spec, "RUN")
    found = importance(model, data, flags.part, flags.repeats, flags.rows, flags.seed)
    if flags.format == "json":
        write(json.dumps(found, indent=2))
        return
    write(f"AUC {found['auc']:.4f} of {found['rows']:,} rows of the {flags.part} part\n")
    width = max(map(len, found["fields"]))
    write(f"{'field':{width}}  AUC lost  std")
    for name, one in found["fields"].items():
        write(f"{name:{width}}  {one['loss']:8.4f}  {one['std']:.4f}")
    for name in suspects(found):
        write(f"\nmost of the AUC hangs on {name}: is it known before the label is?")


if __name__ == "__main__":
    sys.exit(run(_main))
