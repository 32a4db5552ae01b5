"""What is trained and judged in each planted world. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from preprocess.generate.requests import Bias

BIASES: tuple[Bias, ...] = ("mild", "strong")
"""How much each stage of the logged cascade prefers popular items (`preprocess.generate`)."""
PLAIN = "rated rows"
"""The way of training with default options."""
_TRAINING = {"lr": "0.003", "batch_size": "1024", "dropout": "0.1", "epoch": "6", "patience": "6"}
LISTS = {"list_by": "request", "candidates_per_row": "1", "loss": "full_stage", "list_item_bias": "true", **_TRAINING}
"""Whole requests with items drawn from the catalogue, over all stages of the cascade that was logged."""
_TAUGHT = {"candidates_per_row": "1", "teacher_on": "both", **_TRAINING}


@dataclass(frozen=True)
class Way:
    """A way of training.

    Attributes:
        name: for people.
        options: of the training script, beside the defaults.
        taught: whether the ranker is its teacher.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    taught: bool = False


RATED = Way(PLAIN)
CANDIDATES = Way("+ candidates", LISTS)
WAYS = (
    RATED,
    CANDIDATES,
    Way("+ factorisation", {"entire_space": "true"}),
    Way("+ teacher", _TAUGHT, taught=True),
    Way("+ factorisation and teacher", {"entire_space": "true", **_TAUGHT}, taught=True),
    Way("+ candidates and teacher", {**LISTS, "teacher_on": "both"}, taught=True),
)
"""The whole catalogue by stages, by exposure and preference, by a ranker, and by two of these."""


@dataclass(frozen=True)
class Comparison:
    """What one table compares.

    Attributes:
        name: of the table.
        models: the pre-rankers.
        ways: how each of them is trained.
    """

    name: str
    models: tuple[str, ...]
    ways: tuple[Way, ...]


TABLES = {
    found.name: found
    for found in (
        Comparison("aim", ("dssm", "hit"), (RATED, CANDIDATES)),
        Comparison("models", ("dssm", "hit", "int_tower", "fit", "rank_tower", "mvke", "cold"), WAYS),
    )
}
RETRIEVAL, RANKER = "ease", "dssm"
"""The other stages, the same for all pre-rankers. The ranker, who is the teacher too, is trained with :data:`LISTS`."""
ENDS = ("random", "popularity", "retrieval", "ranker")


@dataclass(frozen=True)
class Size:
    """How large the worlds are, and how much is asked.

    Attributes:
        requests, users, items: of a world.
        asked: how many requests of the test part are judged.
        pool, quotas: as `benchmark.py cascade` has them.
        epoch: the most epochs of each run; None for those of its options.
    """

    requests: int
    users: int
    items: int
    asked: int
    pool: int
    quotas: tuple[int, ...]
    epoch: int | None = None


FULL = Size(10_000, 1_000, 2_000, asked=1_000, pool=1_000, quotas=(200, 100, 50))
QUICK = Size(600, 100, 250, asked=30, pool=150, quotas=(100, 50), epoch=1)
