"""`metrics.json` of a run, typed."""

from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, cast

from pydantic import Field, with_config
from typing_extensions import TypedDict

from prerank.errors import InputError
from prerank.reading import RECORD, Name, read_record

METRICS = "metrics.json"
Count = Annotated[int, Field(ge=0)]
Measured = int | float | None
"""A number; null where it is not finite or not known."""
Part = dict[str, Measured]
"""Metrics of one part of the data, by name."""
_OF_A_PART = {"auc", "logloss", "gauc", "ndcg@10", "recall@10", "ece", "rows"}


@with_config(RECORD)
class Outcome(TypedDict):
    """What became of a run."""

    status: Literal["finished", "diverged", "failed"]
    seconds: NotRequired[Measured]
    validation: NotRequired[Part | None]
    test: NotRequired[Part | None]
    exit_code: NotRequired[int]


@with_config(RECORD)
class RunRecord(Outcome):
    """What `metrics.json` holds; names become folders where runs are collected."""

    reason: Annotated[str, Field(max_length=300)]
    run_id: Name
    dataset: Name
    protocol: Name
    split: Name
    state: Name
    leaks: list[Name]
    model: Name
    seed: Count
    data_fingerprint: Name
    rows: NotRequired[dict[Name, Count]]
    fitted_on: NotRequired[Literal["train", "all"]]
    epochs: NotRequired[Count]
    best_epoch: NotRequired[Count]
    parameters: NotRequired[Count]
    examples_per_second: NotRequired[Measured]
    test_seen_users: NotRequired[Part | None]
    test_unseen_users: NotRequired[Part | None]
    floor: NotRequired[Part | None]
    tasks: NotRequired[dict[Name, dict[Name, Any]]]
    last_lines: NotRequired[list[str]]


def read_outcome(folder: Path) -> dict[str, Any]:
    """`metrics.json` of a run's folder, of the type :class:`Outcome`.

    Raises:
        InputError: it cannot be read, or is damaged.
    """
    return cast(dict[str, Any], read_record(folder / METRICS, Outcome))


def read_metrics(folder: Path) -> dict[str, Any]:
    """`metrics.json` of a run's folder, of the type :class:`RunRecord`.

    Raises:
        InputError: it cannot be read, or is damaged.
    """
    path = folder / METRICS
    found = cast(dict[str, Any], read_record(path, RunRecord))
    measured = found["status"] == "finished" and found.get("fitted_on") != "all"
    parts = ("validation", "test") if measured else ()
    for part in (*parts, *(name for name in ("test_seen_users", "test_unseen_users", "floor") if found.get(name))):
        if lacking := sorted(_OF_A_PART - set(found.get(part) or {})):
            raise InputError(f"damaged: {part}.{lacking[0]}: Field required", path=path)
    return found
