import pytest

from experiments import plan
from experiments.ablations import PRESETS, ablations
from experiments.scripts import datasets, options_and_defaults, script, script_of
from preprocess.options import DataOptions
from prerank.errors import InputError


def test_every_training_script_is_found():
    assert "movielens" in datasets()
    for name in datasets():
        assert script(name).path.name == f"train_{name}_whole_models.py"
        assert script(name).source.adapter is not None
    assert options_and_defaults("movielens")[0] is script("movielens").source.options
    with pytest.raises(InputError, match="--dataset: there is no data set 'netflix', choose one of"):
        script("netflix")


def test_a_data_set_belongs_to_the_script_that_reads_it():
    known = {
        "movielens": "movielens",
        "movielens_generated": "movielens",
        "taobao_generated": "taobao",
        "amazon_books": "amazon",
        "amazon_movies_and_tv_generated": "amazon",
        "amazon": None,  # there is no data set without a category
        "movielens_shop": None,  # a user's own data
        "movie": None,
        "": None,
    }
    assert {name: script_of(name) for name in known} == known
    for dataset in datasets():
        source = script(dataset).source
        assert source.adapter.name in source.names
        assert {script_of(name) for name in source.names} == {dataset}
    assert options_and_defaults("taobao_generated")[1] == {"dropout": 0.2}
    assert options_and_defaults("taobao_shop") == (DataOptions, {})


def test_options_are_key_value():
    assert plan.overrides(["leak=history,encoders", "without_mqm=true"]) == {
        "leak": "history,encoders",
        "without_mqm": "true",
    }
    assert plan.flags_of({"leak": "history", "without_mqm": "true", "jit": "False"}) == [
        "--leak=history",
        "--without_mqm",
        "--no-jit",
    ]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["--leak=none"], "key=value"),
        (["leak"], "key=value"),
        (["protocol=strict"], "sets this option itself"),
        (["lr=1", "lr=2"], "twice"),
    ],
)
def test_wrong_options_are_refused(texts, words):
    with pytest.raises(InputError, match=words):
        plan.overrides(texts)


@pytest.fixture
def planner(sample_folder, tmp_path):
    return plan.Planner(script("movielens"), sample_folder, tmp_path / "runs", lambda _: None)


@pytest.fixture
def options(prepared):
    return {"prepared_dir": str(prepared.path.parents[1])}


def test_a_run_is_where_training_puts_it(planner, prepared, options, tmp_path):
    run = planner.run("hit", "strict", 3, {"user_heads": "4", **options})
    assert run.folder.final.parent == tmp_path / "runs" / "movielens_generated" / "strict" / "hit"
    assert run.folder.final.name == run.config.identity(prepared.fingerprint)
    assert run.config.run.random_seed == 3
    assert run.config.model.user_heads == 4
    assert planner.config([*run.flags]).identity(prepared.fingerprint) == run.folder.final.name
    assert run.title.startswith("hit user_heads=4")
    other = planner.run("hit", "strict", 4, {"user_heads": "4", **options})
    assert other.folder.final != run.folder.final


def test_wrong_values_are_told_before_anything_runs(planner):
    with pytest.raises(InputError, match="--lr"):
        planner.run("hit", "strict", 0, {"lr": "-1"})
    with pytest.raises(InputError, match="scorer"):
        planner.run("hit", "strict", 0, {"scorer": "dot"})  # an option of FIT
    with pytest.raises(InputError, match="--model_name: there is no model 'nope'"):
        plan.chosen_models("hit,nope")


def test_every_ablation_changes_something_that_its_model_has(planner):
    for name in PRESETS:
        for ablation in ablations([name]):
            protocol = ablation.protocol or "strict"
            flags = [f"--model_name={ablation.model}", f"--protocol={protocol}"]
            planner.config([*flags, *plan.flags_of(ablation.change)])
    leaks = [ablation.change["leak"] for ablation in ablations(["leaks"]) if ablation.model == "hit"]
    assert "history,user_filter,encoders,scaler" in leaks
    assert len(set(leaks)) == 6
    assert len(ablations(["heads", "heads"])) == 6
