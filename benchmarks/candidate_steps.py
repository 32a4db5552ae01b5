"""Milliseconds of a training step with drawn candidates, against a step without, of several models.

    python -m benchmarks.candidate_steps --models dssm,hit --schema DIR/schema.yaml --data_path DIR

Further flags are those of `train_whole_models.py`. A step includes reading, drawing and the optimizer. The variants of
a model take turns, so a slow moment of the machine meets all of them. The table shows medians over the rounds.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence

from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from preprocess.prepared import PreparedData
from prerank.terminal import Parser, positive, run
from training.config import parse

CANDIDATES = (0, 1, 4)
"""Candidates of each row."""
ROUNDS, STEPS, _AHEAD = 7, 20, 6
"""How often each variant is timed, how many steps each time, and steps before them, for what was read ahead."""
_MODELS = "dssm,hit,int_tower,fit,rank_tower,mvke,cold"


def main(arguments: Sequence[str]) -> None:
    """Run the measurement and print its table.

    Raises:
        InputError: wrong flags or data.
    """
    parser = Parser(prog="python -m benchmarks.candidate_steps", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", default=_MODELS, help=f"comma-separated; default: {_MODELS}")
    parser.add_argument("--rounds", type=positive, default=ROUNDS, help=f"default: {ROUNDS}")
    parser.add_argument("--steps", type=positive, default=STEPS, help=f"of each round; default: {STEPS}")
    flags, others = parser.parse_known_args(arguments)
    config = _config(others)
    data = prepare(NoSchema(), config.data, print)
    print("| model | " + " | ".join(_titles()) + " |\n" + "| --- " * (1 + len(_titles())) + "|", flush=True)
    for name in flags.models.split(","):
        found = _milliseconds(name, others, data, flags.rounds, flags.steps)
        ratios = [value / found[0] for value in found[1:]]
        cells = [*(f"{value:.1f}" for value in found), *(f"{ratio:.2f}" for ratio in ratios)]
        print(f"| `{name}` | " + " | ".join(cells) + " |", flush=True)


def _titles() -> list[str]:
    told = [f"{count} candidates a row" if count else "none" for count in CANDIDATES]
    return [*(f"{title}, ms" for title in told), *(f"{title}, ratio" for title in told[1:])]


def _config(flags: Sequence[str], *more: str):
    return parse([*flags, *more], program="candidate_steps", description="", data_options=OwnDataOptions)


def _milliseconds(name: str, flags: Sequence[str], data: PreparedData, rounds: int, steps: int) -> list[float]:
    """The median milliseconds of a step with each number of candidates."""
    made = [_stepping(name, flags, data, count) for count in CANDIDATES]
    found: list[list[float]] = [[] for _ in made]
    for _ in range(rounds):
        for seconds, step in zip(found, made, strict=True):
            for _ in range(_AHEAD):
                step()
            started = time.perf_counter()
            for _ in range(steps):
                step()
            seconds.append((time.perf_counter() - started) / steps)
    return [1000 * statistics.median(seconds) for seconds in found]


def _stepping(name: str, flags: Sequence[str], data: PreparedData, count: int) -> Callable[[], float]:
    """Takes the next training step of a new model, and waits for its loss."""
    import tensorflow as tf

    import models
    from training.objective_setup import prepared_training
    from training.spec import seen
    from training.trainer import compile_model

    config = _config(flags, f"--model_name={name}", f"--candidates_per_row={count}")
    spec = seen(data.spec, config.run.with_privileged)
    model = models.build(name, spec, config.model, seed=config.run.random_seed, entire_space=config.run)
    batches, model.objective = prepared_training(config, data)
    compile_model(model, config.run)
    model.plan_training(config.run.epoch, len(batches))
    given = iter(batches.dataset(plan=model.plan_lookups()).repeat())
    train = tf.function(model.train_step, reduce_retracing=True)
    return lambda: float(train(next(given))["loss"])


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))
