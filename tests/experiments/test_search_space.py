from typing import Literal

import optuna
import pytest
from pydantic import Field

import models
from experiments.plan import flags_of
from experiments.search_space import defaults, search_space
from models.options import ModelOptions
from training.config import parse


@pytest.fixture
def study():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


@pytest.mark.parametrize("name", models.names())
def test_what_is_tried_is_valid_for_every_model(name, study):
    space = search_space(models.get(name).options)
    assert {"lr", "embedding_l2", "batch_size", "embedding_dim", "dropout"} <= set(space)
    tried = set()
    for _ in range(3):
        values = {option: suggest(trial) for trial in [study.ask()] for option, suggest in space.items()}
        config = parse([f"--model_name={name}", *flags_of(values)], program="", description="")
        tried.add(config.identity(""))
    assert len(tried) == 3


@pytest.mark.parametrize("name", models.names())
def test_the_first_trial_has_default_options(name):
    options = models.get(name).options
    space = search_space(options)
    trial = optuna.trial.FixedTrial(defaults(options, space))
    values = {option: suggest(trial) for option, suggest in space.items()}
    config = parse([f"--model_name={name}", *flags_of(values)], program="", description="")
    assert config.identity("") == parse([f"--model_name={name}"], program="", description="").identity("")


def test_rules_go_by_name_and_type():
    space = search_space(models.get("fit").options, fixed=["lr"])
    assert "lr" not in space
    assert "without_mqm" not in space  # a switch
    assert {"scorer", "user_heads", "hidden_units", "similarity"} <= set(space)
    trial = optuna.trial.FixedTrial({"hidden_units": 0.5, "user_heads": 8, "scorer": "fc"})
    assert space["hidden_units"](trial) == "150,150"
    assert space["user_heads"](trial) == "8"
    assert space["scorer"](trial) == "fc"
    assert set(search_space(ModelOptions)) < set(space) | {"lr"}


class _Recorded(optuna.trial.FixedTrial):
    """A trial that keeps between what it is asked to choose."""

    def __init__(self, values):
        super().__init__(values)
        self.asked = {}

    def suggest_float(self, name, low, high, *, step=None, log=False):
        self.asked[name] = (low, high, log)
        return super().suggest_float(name, low, high, step=step, log=log)

    def suggest_categorical(self, name, choices):
        self.asked[name] = list(choices)
        return super().suggest_categorical(name, choices)


class _Options(ModelOptions):
    heads: int = 3
    one: int = 1
    widths: tuple[int, ...] = (300, 32)
    rate: float = 0.08
    share: float = Field(0.25, ge=0, le=1)
    nothing: float = 0.0
    switch: bool = True
    kind: Literal["a", "b"] | None = None


def test_what_is_tried_lies_around_the_defaults():
    """Half and twice as much of what is counted, a quarter to four times a number, 0 to 0.6 of a share."""
    space = search_space(_Options)
    assert "nothing" not in space
    assert "switch" not in space
    trial = _Recorded({"lr": 1e-3, "embedding_l2": 1e-5, "batch_size": 512, "embedding_dim": 64, "dropout": 0.6,
                       "heads": 6, "one": 2, "widths": 2.0, "rate": 0.32, "share": 0.6, "kind": "b"})  # fmt: skip
    texts = {name: suggest(trial) for name, suggest in space.items()}
    assert trial.asked == {
        "lr": (3e-4, 3e-3, True), "embedding_l2": (1e-7, 1e-3, True), "dropout": (0.0, 0.6, False),
        "batch_size": [512, 1024, 2048, 4096], "embedding_dim": [8, 16, 32, 64],
        "heads": [2, 3, 6], "one": [1, 2], "widths": [0.5, 1.0, 2.0], "kind": ["a", "b"],
        "rate": (0.02, 0.32, True), "share": (0.0, 0.6, False),
    }  # fmt: skip
    assert texts | {"lr": ""} == {
        "lr": "", "embedding_l2": "1e-05", "batch_size": "512", "embedding_dim": "64", "dropout": "0.6", "heads": "6",
        "one": "2", "widths": "600,64", "rate": "0.32", "share": "0.6", "kind": "b",
    }  # fmt: skip
    assert texts["lr"] == "0.001"
