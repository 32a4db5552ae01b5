"""How much of the speed of forward and backward alone a whole training epoch reaches.

    python -m benchmarks.input_pipeline --model_name hit --data_path DIR

takes the flags of `train_movielens_whole_models.py`. In turn, five times each: forward and backward passes over batches
held in memory, nothing else; and an epoch of `model.fit` from the prepared Parquet files, with shuffling, masking and
the optimizer. Medians of examples/s, and their ratio.
"""

import sys

from preprocess import movielens
from preprocess.prepare import prepare
from prerank.errors import InputError
from training.config import parse


def main() -> int:
    """Run the benchmark and return the exit code."""
    try:
        config = parse(sys.argv[1:], program="benchmarks.input_pipeline", description="Time training on MovieLens.")
        data = prepare(movielens.ADAPTER, config.data, print)

        from benchmarks.throughput import epochs  # TensorFlow, which help and preparing do without
        from training import device

        device.configure(config.run)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    epochs.compare(config, data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
