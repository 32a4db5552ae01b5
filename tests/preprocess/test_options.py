import pytest
from pydantic import ValidationError
from pydantic_settings import BaseSettings, CliApp

from preprocess.options import LEAKS, DataOptions


def test_strict_is_by_time_online_and_without_leaks():
    resolved = DataOptions().resolved()
    assert (resolved.split, resolved.state, resolved.leaks) == ("time", "online", ())


def test_reference_is_random_frozen_and_leaks_everything():
    resolved = DataOptions(protocol="reference").resolved()
    assert (resolved.split, resolved.state, resolved.leaks) == ("random", "frozen", LEAKS)


def test_a_random_split_is_frozen():
    assert DataOptions(split="random").resolved().state == "frozen"


def test_leaks_can_be_switched_one_by_one():
    assert DataOptions(leak=("history",)).resolved().leaks == ("history",)
    assert DataOptions(protocol="reference", leak=("none",)).resolved().leaks == ()
    assert DataOptions(leak=("scaler", "history")).resolved() == DataOptions(leak=("history", "scaler")).resolved()


@pytest.mark.parametrize(
    "options",
    [
        {"protocol": "reference", "split": "time"},
        {"split": "random", "state": "online"},
        {"protocol": "reference", "state": "online"},
        {"leak": ("none", "history")},
        {"leak": ("label",)},
        {"protocol": "paper"},
        {"max_history": 0},
        {"sample_rate": 0.0},
        {"sample_rate": 1.5},
        {"test_share": 0.0},
        {"test_share": 0.95},
        {"test_share": 0.5, "validation_share": 0.5},
        {"test_share": 0.2, "test_from": "2026-11-20"},
        {"test_from": "2026-02-30"},
        {"test_from": "today"},
        {"test_from": "2026-11-20", "split": "user_time"},
        {"protocol": "reference", "validation_share": 0.2},
        {"unknown": 1},
    ],
)
def test_contradictions_are_refused(options):
    with pytest.raises(ValidationError):
        DataOptions(**options)


@pytest.mark.parametrize(
    ("flags", "leaks"),
    [([], ()), (["--leak", "none"], ()), (["--leak", "history,scaler"], ("history", "scaler"))],
)
def test_every_field_is_a_flag(flags, leaks):
    class Settings(DataOptions, BaseSettings):
        pass

    settings = CliApp.run(Settings, cli_args=["--protocol", "strict", "--sample_rate", "0.5", *flags])
    assert settings.sample_rate == 0.5
    assert settings.resolved().leaks == leaks


def test_every_field_is_described():
    assert all(field.description for field in DataOptions.model_fields.values())
