"""Tuning with a script in the place of training whose validation AUC is best at a learning rate of 0.002."""

import optuna
import pytest
import yaml
from optuna.trial import TrialState

from experiments.plan import Planner
from experiments.runner import Deadline
from experiments.scripts import Script, script
from experiments.tuned import Tuned, tuned_file
from experiments.tuning import Tuner
from prerank.errors import InputError

_SCRIPT = """
import json, math, pathlib, sys
flags = dict(flag[2:].split("=", 1) for flag in sys.argv[1:] if "=" in flag)
final = pathlib.Path(open(pathlib.Path(__file__).with_name("folder")).read())
final.mkdir(parents=True)
lr = float(flags["lr"])
value = 0.9 - math.log(lr / 0.002) ** 2 / 10
diverged = float(flags["dropout"]) > 0.5
result = {} if diverged else {"validation": {"auc": value}, "test": {"auc": 1 - value}}
status = "diverged" if diverged else "finished"
(final / "metrics.json").write_text(json.dumps({"status": status, "seconds": 1, **result}))
"""


class Planned(Planner):
    """Tells the script where its run's folder is, which training works out by itself."""

    def run(self, *args):
        run = super().run(*args)
        self.folder_file.write_text(str(run.folder.final))
        return run


@pytest.fixture
def path(tmp_path):
    (tmp_path / "train.py").write_text(_SCRIPT)
    return tmp_path / "train.py"


@pytest.fixture
def make(sample_folder, prepared, tmp_path):
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def tuner():
        planner = Planned(Script(tmp_path, script("movielens").source), sample_folder, tmp_path / "runs", print)
        planner.folder_file = tmp_path / "folder"
        fixed = {"prepared_dir": str(prepared.path.parents[1])}
        return Tuner(planner, "dssm", "strict", 0, fixed, tmp_path / "tuning")

    return tuner


def test_finds_better_options_on_validation(make, path, tmp_path, capsys):
    tuner = make()
    assert tuner.run(path, 8, Deadline())
    best = tuner.best()
    assert best.trials == 8
    assert best.validation_auc > best.default_validation_auc  # by the test AUC, the worst would be best
    assert capsys.readouterr().out.count("dssm, strict, trial") == 8
    place = tuned_file(tmp_path, tuner.dataset, "strict", "dssm")
    best.write(place)
    assert Tuned.read(tmp_path, "movielens_generated", "strict", "dssm") == best
    names = {name for name, _ in best.variant("movielens_generated", "strict", "dssm")}
    assert "lr" in names
    assert "prepared_dir" not in names
    with pytest.raises(InputError, match="hit was not tuned"):
        Tuned.read(tmp_path, "movielens_generated", "strict", "hit")
    place.write_text(yaml.safe_dump({"trials": 3}))
    with pytest.raises(InputError, match="not a file of `benchmark.py tune`"):
        Tuned.read(tmp_path, "movielens_generated", "strict", "dssm")


def test_goes_on_where_it_was_stopped_and_tries_the_same(make, path):
    whole = make()
    assert not whole.run(path, 4, Deadline(0.0))
    assert whole.run(path, 2, Deadline())
    tried = whole._next(2).user_attrs["values"]  # as if the process had been killed with a trial under way
    again = make()
    assert again.run(path, 3, Deadline())
    states_of = [trial.state for trial in again._study.trials]
    assert states_of.count(TrialState.RUNNING) == 0
    assert again._study.trials[-1].user_attrs["values"] == tried
    assert again.best().trials == 3
    assert again.run(path, 3, Deadline())  # nothing is left to do
