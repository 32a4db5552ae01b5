"""Tunes a model's options with Optuna, on the validation part alone."""

from collections.abc import Mapping
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState

import models
from experiments import states
from experiments.plan import Planner
from experiments.runner import Deadline, Watcher, execute
from experiments.search_space import defaults, search_space
from experiments.states import State
from experiments.tuned import Tuned
from prerank.errors import InputError

_VALUES, _LOST = "values", "lost"
_STARTUP_TRIALS = 6


class Tuner:
    """Tries options of one model on one data set under one protocol. Killed and started again, it goes on.

    A trial is a run of the training script; its value is the validation AUC, and its test metrics are not looked at.
    The first one has default options. What a trial tries depends on the trials before it and its number alone.

    Args:
        planner: makes the runs, in a folder of their own.
        model: which model.
        protocol: which protocol.
        seed: of every run.
        fixed: options that are not tuned, by name.
        folder: where the study's journal goes.
    """

    def __init__(self, planner: Planner, model: str, protocol: str, seed: int, fixed: Mapping[str, str], folder: Path):
        self._planner = planner
        self._model = model
        self._protocol = protocol
        self._seed = seed
        self._fixed = dict(fixed)
        options = models.get(model).options
        self._space = search_space(options, fixed)
        self._defaults = defaults(options, self._space)
        default = planner.run(model, protocol, seed, fixed)
        self.dataset = default.dataset
        name = f"{model}-{default.folder.final.name}"
        folder.mkdir(parents=True, exist_ok=True)
        self._journal = folder / f"{name}.journal"
        storage = JournalStorage(JournalFileBackend(str(self._journal)))
        self._study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        if not self._study.trials:
            self._study.enqueue_trial(self._defaults)

    def run(self, script: Path, trials: int, deadline: Deadline) -> bool:
        """Go on until `trials` trials are done, counting those of earlier calls; whether they are.

        Raises:
            KeyboardInterrupt: it was interrupted.
        """
        self._take_back_unfinished()
        while (number := self._done()) < trials:
            if deadline.over():
                return False
            self._study.sampler = optuna.samplers.TPESampler(seed=number, n_startup_trials=_STARTUP_TRIALS)
            trial = self._study.ask()
            values = {name: suggest(trial) for name, suggest in self._space.items()}
            trial.set_user_attr(_VALUES, values)
            if not self._try(trial, script, deadline, f"trial {number + 1} of {trials}"):
                return False
        return True

    def _done(self) -> int:
        """Trials with a result, and those whose run diverged or failed."""
        return sum(trial.state is TrialState.COMPLETE or _LOST in trial.user_attrs for trial in self._study.trials)

    def _take_back_unfinished(self) -> None:
        """Queue again what a killed process was at; its run goes on from the last whole epoch."""
        for trial in self._study.get_trials(states=(TrialState.RUNNING,)):
            self._study.tell(trial.number, state=TrialState.FAIL)
            self._study.enqueue_trial(trial.params)

    def _try(self, trial: Trial, script: Path, deadline: Deadline, title: str) -> bool:
        """Run a trial; whether it is over, not stopped for the time."""
        values = trial.user_attrs[_VALUES]
        run = self._planner.run(self._model, self._protocol, self._seed, {**values, **self._fixed})
        execute(script, [run], Watcher(), deadline=deadline)
        outcome = states.state(run)
        if not outcome.over:
            return False
        value = (states.metrics(run).get("validation") or {}).get("auc") if outcome is State.FINISHED else None
        if value is None:
            trial.set_user_attr(_LOST, str(outcome))
        self._study.tell(trial, value, state=TrialState.FAIL if value is None else None)
        shown = " ".join(f"{name}={text}" for name, text in values.items())
        print(f"{self._model}, {self._protocol}, {title}: {f'{value:.4f}' if value else outcome} ({shown})", flush=True)
        return True

    def best(self) -> Tuned:
        """The best trial so far.

        Raises:
            InputError: no trial has finished.
        """
        complete = self._study.get_trials(states=(TrialState.COMPLETE,))
        if not complete:
            raise InputError(f"--model {self._model}: no trial has a result", path=self._journal)
        best = self._study.best_trial
        return Tuned(
            validation_auc=self._study.best_value,
            default_validation_auc=next((trial.value for trial in complete if trial.params == self._defaults), None),
            trials=self._done(),
            seed=self._seed,
            options={**best.user_attrs[_VALUES], **self._fixed},
        )
