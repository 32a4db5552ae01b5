"""Compare two models on the same test rows, with an interval. Run `examples/own_data.py` first."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import json  # noqa: E402

import numpy as np  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

import train_whole_models  # noqa: E402
from experiments import bootstrap  # noqa: E402
from preprocess.prepared import PreparedData  # noqa: E402
from training.app import main as train  # noqa: E402
from training.rated import Rated  # noqa: E402


def logits_of(model: str) -> np.ndarray:
    """The logits of the test rows, in the order of the prepared file; written by `--save_predictions`."""
    (folder,) = Path("runs/shop/strict").glob(f"{model}/seed*")
    return pq.read_table(folder / "predictions.parquet")["logit"].to_numpy()


def prepared_data() -> PreparedData:
    """What both runs were trained on: `metrics.json` names it."""
    (folder,) = Path("runs/shop/strict/dssm").glob("seed*")
    fingerprint = json.loads((folder / "metrics.json").read_text())["data_fingerprint"]
    return PreparedData.open(Path("data/prepared/shop") / fingerprint)


def main() -> None:
    """Train a linear model beside DSSM, and print the difference in AUC with its 95 % interval over users."""
    data = ["--schema", "shop/shop.yaml", "--data_path", "shop/shop.csv"]
    if code := train(train_whole_models.SOURCE, [*data, "--model_name", "lr", "--epoch", "2", "--save_predictions"]):
        sys.exit(code)
    rated = Rated.read(prepared_data(), "test")
    # The same samples of users for both models, so that their differences are paired.
    dssm, lr = (bootstrap.replicates(rated.labels, logits_of(model), rated.groups) for model in ("dssm", "lr"))
    difference = (dssm - lr)[:, 0]
    low, high = np.nanpercentile(difference, [2.5, 97.5])
    print(f"AUC of dssm less that of lr: {np.nanmean(difference):+.4f}, 95 % interval [{low:+.4f}, {high:+.4f}]")


if __name__ == "__main__":
    main()
