import dataclasses

import pytest
from pydantic import ValidationError
from pydantic_settings import BaseSettings, CliApp

from preprocess.movielens import ADAPTER
from preprocess.options import LEAKS, DataOptions, ResolvedOptions
from preprocess.prepare import _described
from preprocess.raw import RawFile


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


_OTHERS = {
    "protocol": "reference", "split": "user_time", "state": "frozen", "leaks": ("history",), "max_history": 51,
    "sample_rate": 0.5, "negatives": 1, "min_count": 2, "hash_buckets": 7,
    "test_share": 0.3, "validation_share": 0.05, "test_from": "2026-11-20",
    "save_state": "all", "forget_after": 30,
}  # fmt: skip


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ResolvedOptions)])
def test_prepared_data_of_every_other_option_have_another_fingerprint(name):
    resolved = DataOptions().resolved()
    changed = dataclasses.replace(resolved, **{name: _OTHERS[name]})
    assert changed != resolved
    assert _fingerprint(changed) != _fingerprint(resolved)
    asked = {"leaks": "leak"}.get(name, name)
    if name != "protocol":
        assert getattr(DataOptions(**{asked: _OTHERS[name]}).resolved(), name) == _OTHERS[name]


@pytest.mark.parametrize("change", ["byte", "name", "role"])
def test_prepared_data_of_other_bytes_or_names_have_another_fingerprint(change, tmp_path):
    """One byte of as many is another; so is the name of a file, and which file it is."""
    resolved = DataOptions().resolved()
    first, second = tmp_path / "ratings.dat", tmp_path / "b" / ("movies.dat" if change == "name" else "ratings.dat")
    second.parent.mkdir()
    first.write_text("1::2::5::978300760\n")
    second.write_text("1::2::4::978300760\n" if change == "byte" else first.read_text())
    one = {"ratings": RawFile.inspect(first)}
    two = {"movies" if change == "role" else "ratings": RawFile.inspect(second)}
    assert _fingerprint(resolved, one) != _fingerprint(resolved, two)
    again = {"ratings": RawFile.inspect(first)}
    assert _fingerprint(resolved, one) == _fingerprint(resolved, again)


def _fingerprint(options, files=None):
    return _described(ADAPTER, files or {}, options)["fingerprint"]


def test_the_first_setting_that_is_none_is_named():
    with pytest.raises(ValidationError, match=r"key=value, comma-separated\. Received: b c"):
        DataOptions(spark_conf=("a.b=1", "b c", "d"))
    assert DataOptions(spark_conf=("a.b=1", "c=x=y")).spark_conf == ("a.b=1", "c=x=y")
