"""Train a pre-ranking model on Amazon: `python train_amazon_whole_models.py --category books --model_name hit`."""

import sys
from pathlib import Path

from preprocess.amazon import Amazon, AmazonOptions, official_name
from preprocess.download import AMAZON_URLS, download_amazon
from training.app import DataSource, main


def _sample(folder: Path, options: AmazonOptions) -> Path:
    from preprocess.generate.amazon import SAMPLE_ROWS, ceiling_auc, generate  # heavy, and only for a sample

    place = folder / options.category
    if not place.exists():
        generate(place, rows=SAMPLE_ROWS, category=official_name(options.category))
    print(f"ceiling, the AUC of the sample's true probabilities over its reviews: {ceiling_auc(place):.4f}")
    return place


SOURCE = DataSource(
    adapter=Amazon(),
    origin=f"get the edition of 2014 with --download, or from {AMAZON_URLS[0]}",
    default_path=Path("data/amazon"),
    generate=_sample,
    download=lambda folder, options: download_amazon(folder, official_name(options.category)),
    options=AmazonOptions,
)

if __name__ == "__main__":
    sys.exit(main(SOURCE))
