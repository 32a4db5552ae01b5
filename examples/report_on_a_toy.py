"""A benchmark on toy data: three models, and the report on them. Takes some ten seconds.

Run from the repository: `python examples/report_on_a_toy.py`. It writes to the folder `toy` here.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import train_movielens_whole_models  # noqa: E402
from experiments.command_line import main as benchmark  # noqa: E402
from preprocess.generate.movielens import generate  # noqa: E402
from training.app import main as train  # noqa: E402

MODELS = ("target_means", "lr", "dssm")
OPTIONS = ["--epoch", "4", "--batch_size", "256", "--lr", "0.003", "--embedding_dim", "8", "--hidden_units", "32,16"]


def main() -> None:
    """Generate data, train the models, and print the report's table of them."""
    Path("toy").mkdir(exist_ok=True)
    os.chdir("toy")
    if not Path("ml-1m").exists():
        generate(Path("ml-1m"), rows=12_000, seed=0)
    for model in MODELS:
        options = [] if model == "target_means" else OPTIONS[: 6 if model == "lr" else None]
        arguments = ["--data_path", "ml-1m", "--model_name", model, "--overwrite", *options]
        if code := train(train_movielens_whole_models.SOURCE, arguments):
            sys.exit(code)
    # `python benchmark.py run` trains too, each run in a process of its own. With real data, use it.
    benchmark(["collect"])
    benchmark(["report"])
    lines = Path("results/README.md").read_text(encoding="utf-8").splitlines()
    print("\n".join(line for line in lines if line.startswith(("| model |", *(f"| `{name}` |" for name in MODELS)))))
    print("toy/results/report.html has figures and every table")


if __name__ == "__main__":
    main()
