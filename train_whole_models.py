"""Train a pre-ranking model on your data: `python train_whole_models.py --schema my.yaml --data_path my.parquet`."""

import sys

from preprocess.own_data import NoSchema, OwnDataOptions
from prerank.allocator import keep_freed_memory
from training.app import DataSource, main

SOURCE = DataSource(
    adapter=NoSchema(),
    origin="a Parquet or csv file, or the folder of the files that --schema names; see docs/own-data.md",
    options=OwnDataOptions,
)

if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main(SOURCE))
