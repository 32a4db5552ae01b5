"""Tunes a model's options with Optuna, on the validation part only."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

import models
from experiments import statuses
from experiments.plan import Planner
from experiments.runner import Deadline, Watcher, execute
from experiments.search_space import defaults, search_space
from experiments.statuses import Status
from experiments.tuned import Tuned
from prerank import folders
from prerank.errors import InputError

_VALUES = "values"
_STARTUP_TRIALS = 6


class _HeldAlready(JournalFileOpenLock):
    """No lock, as the tuner holds the journal. Optuna's own outlives a killed process, and is then waited for."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


class Tuner:
    """Tries options of one model on one data set under one protocol. Killed and started again, it goes on.

    A trial is a run of the training script; its value is the validation AUC, and its test metrics are not looked at.
    The first one has default options. What a trial tries depends on the trials before it and its number only.

    Args:
        planner: makes the runs, in a folder of their own.
        model: which model.
        protocol: which protocol.
        seed: of every run.
        fixed: options that are not tuned, by name.
        folder: where the study's journal goes.

    Raises:
        InputError: another process is at it.
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
        self._fingerprint = default.fingerprint
        self._name = f"{model}-{default.folder.final.name}"
        self._journal = folder / f"{self._name}.journal"
        with self._held():
            self._study = self._open()

    def _held(self) -> AbstractContextManager[None]:
        return folders.holding(self._journal)

    def _open(self) -> optuna.Study:
        """The study of the journal, less a line that a killed process has written in part."""
        if self._journal.exists():
            whole = self._journal.read_bytes()
            if cut := len(whole) - whole.rfind(b"\n") - 1:
                folders.write_bytes(self._journal, whole[:-cut])
        backend = JournalFileBackend(str(self._journal), _HeldAlready(str(self._journal)))
        name = self._name
        return optuna.create_study(
            storage=JournalStorage(backend), study_name=name, direction="maximize", load_if_exists=True
        )

    def run(self, script: Path, trials: int, deadline: Deadline) -> bool:
        """Go on until `trials` trials are done, counting those of earlier calls; whether they are.

        Raises:
            InputError: another process is at it.
            KeyboardInterrupt: it was interrupted.
        """
        with self._held():
            while (number := self._done()) < trials:
                if deadline.over():
                    return False
                trial = self._next(number)
                if not self._try(trial, script, deadline, f"trial {number + 1} of {trials}"):
                    return False
        return True

    def _done(self) -> int:
        """Trials with a result, and those whose run diverged or failed."""
        return sum(
            trial.state is TrialState.COMPLETE or (trial.state is TrialState.FAIL and _VALUES in trial.user_attrs)
            for trial in self._study.trials
        )

    def _next(self, number: int) -> FrozenTrial:
        """The trial that a killed process was at, or a new one, with its values chosen.

        Values that a killed process had not chosen all are chosen anew, and come out the same, for they depend on the
        trials before and on the number.
        """
        for trial in self._study.get_trials(states=(TrialState.RUNNING,)):
            if _VALUES in trial.user_attrs:
                return trial
            self._study.tell(trial.number, state=TrialState.FAIL)
        if number == 0 and not self._study.get_trials(states=(TrialState.WAITING,)):
            self._study.enqueue_trial(self._defaults)
        self._study.sampler = optuna.samplers.TPESampler(seed=number, n_startup_trials=_STARTUP_TRIALS)
        asked = self._study.ask()
        asked.set_user_attr(_VALUES, {name: suggest(asked) for name, suggest in self._space.items()})
        return self._study.trials[asked.number]

    def _try(self, trial: FrozenTrial, script: Path, deadline: Deadline, title: str) -> bool:
        """Run a trial; whether it is over, not stopped for the time."""
        values = trial.user_attrs[_VALUES]
        run = self._planner.run(self._model, self._protocol, self._seed, {**values, **self._fixed})
        execute(script, [run], Watcher(), deadline=deadline)
        outcome = statuses.status(run)
        if not outcome.over:
            return False
        value = (statuses.metrics(run).get("validation") or {}).get("auc") if outcome is Status.FINISHED else None
        self._study.tell(trial.number, value, state=TrialState.FAIL if value is None else None)
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
            raise InputError(f"--model_name {self._model}: no trial has a result", path=self._journal)
        best = self._study.best_trial
        return Tuned(
            validation_auc=self._study.best_value,
            default_validation_auc=next((trial.value for trial in complete if trial.params == self._defaults), None),
            trials=self._done(),
            seed=self._seed,
            options={**best.user_attrs[_VALUES], **self._fixed},
            data=self._fingerprint,
        )
