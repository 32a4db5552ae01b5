"""Train a pre-ranking model on MovieLens: `python train_movielens_whole_models.py --model_name hit`."""

import sys
from pathlib import Path

from preprocess import movielens
from preprocess.download import download_movielens
from preprocess.options import DataOptions
from prerank.allocator import keep_freed_memory
from training.app import DataSource, main


def _sample(folder: Path, options: DataOptions) -> Path:
    from preprocess.generate import make_sample  # heavy, and only for a sample
    from preprocess.generate.movielens import SAMPLE_ROWS, ceiling_auc, generate

    make_sample(folder, lambda place: generate(place, rows=SAMPLE_ROWS))
    print(f"ceiling, the AUC of the sample's true probabilities over its labelled rows: {ceiling_auc(folder):.4f}")
    return folder


SOURCE = DataSource(
    adapter=movielens.ADAPTER,
    default_path=Path("data/ml-1m"),
    origin="get MovieLens-1M with --download, or from https://grouplens.org/datasets/movielens/1m/",
    generate=_sample,
    names=(movielens.ADAPTER.name,),
    download=lambda folder, options: download_movielens(folder),
)

if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main(SOURCE))
