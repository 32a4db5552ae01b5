"""Your own data end to end: a csv file and a schema, training, export, item index. Takes some ten seconds.

Run from the repository: `python examples/own_data.py`. It writes to the folders `shop`, `data`, `runs` and `out` here.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

import train_whole_models  # noqa: E402
from prerank.artefact import Artefact  # noqa: E402
from prerank.build_index import build  # noqa: E402
from prerank.layout import CATALOGUE, INDEX  # noqa: E402
from training.app import main as train  # noqa: E402

SCHEMA = """
dataset: shop
user_id: customer
item_id: product
label: bought
time: shown_at
fields:
  customer: {side: user, type: int64}
  country: {side: user}
  product: {side: item}
  brand: {side: item}
history: bought_before        # made from the rows: what the customer bought before
user_mean: customer_mean      # made from the rows: mean label before the row
item_mean: product_mean
"""
OPTIONS = ["--epoch", "10", "--lr", "0.01", "--batch_size", "512", "--embedding_dim", "8", "--hidden_units", "32,16"]


def write_data(folder: Path, rows: int = 4_000) -> None:
    """Write a toy log, a row for each product that a customer was shown, and its schema."""
    random = np.random.default_rng(0)
    customer, product = random.integers(0, 200, rows), random.integers(0, 80, rows)
    likes = np.where(customer % 4 == product % 4, 0.8, 0.2)
    folder.mkdir(exist_ok=True)
    pd.DataFrame(
        {
            "customer": customer,
            "country": np.array(["de", "fr", "it"])[customer % 3],
            "product": [f"p{number:03}" for number in product],
            "brand": [f"brand {number % 8}" for number in product],
            "bought": (random.random(rows) < likes).astype(int),
            "shown_at": 1_767_225_600 + np.sort(random.integers(0, 30 * 86_400, rows)),
        }
    ).to_csv(folder / "shop.csv", index=False)
    (folder / "shop.yaml").write_text(SCHEMA)


def main() -> None:
    """Write the data, train DSSM, export it, and index its items."""
    write_data(Path("shop"))
    data = ["--schema", "shop/shop.yaml", "--data_path", "shop/shop.csv"]
    if code := train(
        train_whole_models.SOURCE,
        [*data, "--model_name", "dssm", *OPTIONS, "--save_predictions", "--export_dir", "out/shop"],
    ):
        sys.exit(code)
    # As `prerank index --model out/shop` does, which limits threads and so has to be a process of its own.
    export = Path("out/shop")
    built = build(Artefact(export), export / CATALOGUE, export / INDEX, "float32")
    print(f"index of {len(built.states.ids)} items")


if __name__ == "__main__":
    main()
