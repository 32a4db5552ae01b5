"""What is measured on finished runs from their predictions and weights, and kept beside them as small files."""

from collections.abc import Callable, Iterable

import numpy as np

from experiments import agreement, bootstrap
from experiments.agreement import Candidates
from experiments.defaults import RANKER, USERS
from experiments.plan import Planner
from experiments.runs import AGREEMENT, BOOTSTRAP, Run, variant_title
from experiments.trained import OtherDataError, TrainedRun
from prerank import folders
from training.rated import Rated
from training.run_folder import to_json


def measure(
    runs: Iterable[Run],
    planner: Planner,
    *,
    ranker: str = RANKER,
    users: int = USERS,
    report: Callable[[str], object] = print,
) -> None:
    """Write `bootstrap.csv` and `ranker_agreement.json` of every finished run that lacks them.

    Settings of other data than those that `planner` finds are told and left out, as those of the generated sample are
    once there are real data.

    Args:
        runs: the runs; the ranking models are taken from them.
        planner: finds their data.
        ranker: the ranking model; of each setting its run with default options, or if there is none with the first of
            others, and of the lowest seed counts.
        users: how many users of the test part the agreement is taken over.
        report: takes lines meant for the user.

    Raises:
        InputError: no run that lacks something is of the data, or a run's weights are gone.
    """
    finished = [run for run in runs if run.status == "finished"]
    others: list[OtherDataError] = []
    settings = list(dict.fromkeys(run.setting for run in finished))
    for setting in settings:
        mine = [run for run in finished if run.setting == setting]
        rankers = sorted(
            (run for run in mine if run.model == ranker), key=lambda run: (variant_title(run.variant), run.seed)
        )
        if not rankers:
            report(f"{setting.dataset}, {setting.title}: no finished run of {ranker}, so no agreement with it")
        ranking = _Ranking(rankers[0], planner, users) if rankers else None
        try:
            for run in mine:
                _measure(run, planner, ranking, report)
        except OtherDataError as error:
            report(f"{setting.dataset}, {setting.title}, data {setting.fingerprint}: left out, as of other data")
            others.append(error)
    if others and len(others) == len(settings):
        raise others[0]


class _Ranking:
    """The ranking model of a setting, its best items found when they are first needed.

    Args:
        run: its run.
        planner: finds its data.
        users: how many users to take.
    """

    def __init__(self, run: Run, planner: Planner, users: int):
        self.run = run
        self._planner = planner
        self.users = users
        self._found: tuple[Candidates, np.ndarray] | None = None

    @property
    def key(self) -> dict[str, object]:
        """What names it in a `ranker_agreement.json`."""
        return {"ranker": self.run.model, "ranker_run": self.run.folder.name, "asked_users": self.users}

    def best(self) -> tuple[Candidates, np.ndarray]:
        """The users and items, and its best items for them."""
        if self._found is None:
            trained = TrainedRun.open(self.run, self._planner)
            candidates = Candidates.of(trained.data, self.users)
            self._found = candidates, agreement.top_items(trained.model(), candidates)
        return self._found


def _measure(run: Run, planner: Planner, ranking: _Ranking | None, report: Callable[[str], object]) -> None:
    title = f"{run.setting.dataset}, {run.setting.title}: {run.model}, {run.folder.name}"
    with folders.holding(run.folder, report):
        if not (run.folder / BOOTSTRAP).exists():
            report(f"{title}: bootstrap over users")
            trained = TrainedRun.open(run, planner)
            rated = Rated.read(trained.data, "test")
            values = bootstrap.replicates(rated.labels, trained.test_logits()[rated.rows], rated.groups)
            folders.write_text(run.folder / BOOTSTRAP, bootstrap.to_csv(values))
        if ranking is not None and not _agrees(run, ranking):
            report(f"{title}: agreement with {ranking.run.model}")
            candidates, of_ranker = ranking.best()
            if run.folder == ranking.run.folder:
                found = agreement.compare(of_ranker, None, candidates)
            else:
                best = agreement.top_items(TrainedRun.open(run, planner).model(), candidates)
                found = agreement.compare(best, of_ranker, candidates)
            folders.write_text(run.folder / AGREEMENT, to_json({**ranking.key, **found}))


def _agrees(run: Run, ranking: _Ranking) -> bool:
    """Whether the agreement with this ranking model is on disk."""
    return run.agreement is not None and {**run.agreement, **ranking.key} == run.agreement
