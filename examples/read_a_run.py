"""Read what a training wrote. Run `examples/own_data.py` first."""

import csv
import json
from pathlib import Path

import yaml


def main() -> None:
    """Print the options, the epochs and the test result of the latest run in `runs`."""
    folder = max(Path("runs").glob("*/*/*/seed*"), key=lambda place: place.stat().st_mtime)
    options = yaml.safe_load((folder / "config.yaml").read_text())
    print(f"{options['model_name']}, batch size {options['batch_size']}, learning rate {options['lr']}")

    with (folder / "history.csv").open() as file:
        for epoch in csv.DictReader(file):
            print(f"epoch {epoch['epoch']}: loss {float(epoch['loss']):.4f}, val_auc {float(epoch['val_auc']):.4f}")

    metrics = json.loads((folder / "metrics.json").read_text())
    test, floor = metrics["test"], metrics["floor"]
    print(f"status: {metrics['status']}, best epoch {metrics['best_epoch']}, {metrics['parameters']:,} parameters")
    print(f"test AUC {test['auc']:.4f}, floor {floor['auc']:.4f}")
    print(
        f"GAUC {test['gauc']:.4f} leaves out {test['gauc_users_left_out']:.1%} of the users: their labels are all equal"
    )


if __name__ == "__main__":
    main()
