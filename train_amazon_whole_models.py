"""Train a pre-ranking model on Amazon: `python train_amazon_whole_models.py --category books --model_name hit`."""

import sys
from pathlib import Path

from preprocess.amazon import CATEGORIES, Amazon, AmazonOptions, official_name
from preprocess.download import AMAZON_URLS, download_amazon
from prerank.allocator import keep_freed_memory
from training.app import DataSource, main


def _sample(folder: Path, options: AmazonOptions) -> Path:
    from preprocess.generate import make_sample  # heavy, and only for a sample
    from preprocess.generate.amazon import SAMPLE_ROWS, ceiling_auc, generate

    place = folder / options.category
    make_sample(place, lambda place: generate(place, rows=SAMPLE_ROWS, category=official_name(options.category)))
    print(f"ceiling, the AUC of the sample's true probabilities over its reviews: {ceiling_auc(place):.4f}")
    return place


SOURCE = DataSource(
    adapter=Amazon(),
    origin=f"get the edition of 2014 with --download, or from {AMAZON_URLS[0]}",
    default_path=Path("data/amazon"),
    generate=_sample,
    download=lambda folder, options: download_amazon(folder, official_name(options.category)),
    options=AmazonOptions,
    names=[Amazon(category).name for category in CATEGORIES],
)

if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main(SOURCE))
