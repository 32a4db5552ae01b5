"""Which runs are the stages of a cascade: models by name and options, or folders of runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import models
from experiments.runs import Run, spelt, variant_title
from prerank.errors import InputError
from prerank.numbers import integer, number

_SEED = "seed"
_MOST_SHOWN = 5


@dataclass(frozen=True)
class Wanted:
    """What one name on the command line asks for.

    Attributes:
        text: as it was given.
        model: name of the model, or empty.
        options: its options beside the defaults, as texts.
        seed: the run's seed, or None for all.
        folder: the folder of one run, instead of all these.
    """

    text: str
    model: str = ""
    options: tuple[tuple[str, str], ...] = ()
    seed: int | None = None
    folder: Path | None = None

    @classmethod
    def parse(cls, text: str, flag: str) -> "Wanted":
        """Read `name[:key=value...]`, in which the key `seed` is a run's seed, or the folder of a run.

        Raises:
            InputError: it is neither.
        """
        if text and Path(text).is_dir():
            return cls(text, folder=Path(text))
        name, *pairs = text.split(":")
        if "/" in name:
            raise InputError(f"{flag}: no such folder of a run", path=Path(text))
        options: dict[str, str] = {}
        for pair in pairs:
            key, equals, value = pair.partition("=")
            if not key or not equals or key in options:
                raise InputError(f"{flag}: expected name:key=value, each key once. Received: {text!r}")
            options[key] = value
        try:
            seed = integer(options.pop(_SEED), 0, 2**32 - 1) if _SEED in options else None
            return cls(text, models.get(name).name, tuple(options.items()), seed)
        except InputError as error:
            raise InputError(f"{flag}: {error}") from error

    def find(self, runs: Sequence[Run], flag: str) -> list[Run]:
        """The finished runs that are meant, by seed.

        Args:
            runs: finished runs of one setting.
            flag: the flag that asks for them, for messages.

        Raises:
            InputError: there is none, or several runs of the model have these options and others of their own.
        """
        if self.folder is not None:
            found = [run for run in runs if run.folder.resolve() == self.folder.resolve()]
            if not found:
                raise InputError(f"{flag}: not a finished run of the setting that is judged", path=self.folder)
            return found
        of_model = [run for run in runs if run.model == self.model and self.seed in (None, run.seed)]
        matching = [run for run in of_model if _has(spelt(run.variant), dict(self.options))]
        variants = {run.variant for run in matching}
        exact = {variant for variant in variants if len(variant) == len(self.options)}
        if len(exact or variants) != 1:
            known = sorted({variant_title(run.variant) or "default options" for run in of_model})
            shown = ", ".join(known[:_MOST_SHOWN]) + (", ..." if len(known) > _MOST_SHOWN else "")
            what = "no finished run" if not variants else "runs with several further options, name one of them"
            there = f"There are runs with: {shown}" if known else "There is no run of this model"
            raise InputError(f"{flag} {self.text}: {what}. {there}")
        (variant,) = exact or variants
        return sorted((run for run in matching if run.variant == variant), key=lambda run: run.seed)


def _has(values: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(name in values and _same(values[name], value) for name, value in wanted.items())


def _same(first: str, second: str) -> bool:
    if first.lower() == second.lower():
        return True
    try:
        return number(first) == number(second)
    except InputError:
        return False


def parse_all(texts: Iterable[str], flag: str) -> list[Wanted]:
    """All that a flag asks for, comma-separated; a value may have commas too, as `dssm:user_units=128,64`.

    Raises:
        InputError: as :meth:`Wanted.parse`, or something is asked for twice.
    """
    found: list[str] = []
    for text in texts:
        first = len(found)
        for piece in text.split(","):
            begins = piece.partition(":")[0] in models.names() or "/" in piece or (piece and Path(piece).is_dir())
            if begins or len(found) == first or "=" not in found[-1]:
                found.append(piece)
            else:
                found[-1] += f",{piece}"
    if len(set(found)) < len(found):
        raise InputError(f"{flag}: something is named twice. Received: {','.join(found)}")
    return [Wanted.parse(text, flag) for text in found]


@dataclass(frozen=True)
class Line:
    """What is judged together.

    Attributes:
        retrieval: the run that chooses the pool.
        ranker: the run that orders the final list.
        prerankers: the runs that are judged between them.
    """

    retrieval: Run
    ranker: Run
    prerankers: tuple[Run, ...]


def lines(
    retrieval: Sequence[Run], prerankers: Sequence[Sequence[Run]], rankers: Sequence[Sequence[Run]], match_seeds: bool
) -> list[Line]:
    """Each ranker with the retrieval model and the pre-rankers.

    Args:
        retrieval: the runs of the retrieval model, by seed.
        prerankers: the runs of each pre-ranker, by seed.
        rankers: the runs of each ranker, by seed.
        match_seeds: retrieval and ranker have the pre-ranker's seed; if not, their lowest.

    Raises:
        InputError: there is no retrieval model or ranker of a pre-ranker's seed.
    """
    every = [run for runs in prerankers for run in runs]
    if not match_seeds:
        return [Line(retrieval[0], runs[0], tuple(every)) for runs in rankers]
    seeds = sorted({run.seed for run in every} or {run.seed for run in retrieval})
    return [
        Line(_of_seed(retrieval, seed), _of_seed(runs, seed), tuple(run for run in every if run.seed == seed))
        for runs in rankers
        for seed in seeds
    ]


def _of_seed(runs: Sequence[Run], seed: int) -> Run:
    for run in runs:
        if run.seed == seed:
            return run
    raise InputError(f"--match_seeds: {runs[0].model} has no finished run of seed {seed}")
