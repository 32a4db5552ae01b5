import optuna
import pytest

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
