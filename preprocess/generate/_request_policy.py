"""The logging policy of generated requests: retrieval, pre-ranking, ranking, and a list of places that users look at.

Each stage scores what the one before has left, by popularity (the exposure bias, mild or strong), by a view of its own
of the true preference, and by noise. Retrieval knows what attributes explain, of the whole catalogue. Pre-ranking knows
the first half of the vectors. Ranking knows the true log odds. So what is shown is popular, and depends on the policy.

A user looks at place k (from 1) with probability k^-0.6, whatever is there. A click needs both the look and the liking.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from preprocess.generate import _planted
from preprocess.generate._request_world import SIZE, World

Bias = Literal["mild", "strong"]
BIASES: dict[Bias, float] = {"mild": 0.4, "strong": 1.2}
"""How much popularity counts for each stage, beside a view of variance 1."""
STAGES = ("retrieved", "pre_ranked", "ranked", "shown")
"""What a candidate reached, from the first to the last; as integers 1, 2, 3 and 4."""
RETRIEVED, PRE_RANKED, RANKED, SHOWN = 200, 60, 25, 10
"""Candidates of a request that reach each stage."""
WRITTEN = {1: 10, 2: 5, 3: 5}
"""Candidates of a request that are written of those that ended at each of the earlier stages."""
EXAMINED = np.arange(1, SHOWN + 1) ** -0.6
"""Probability that a user looks at each place. Shape (SHOWN,)."""
DAYS, DAY = 14, 86_400
_NOISE = (1.0, 0.7, 1.0)
_BLOCK_SCORES = 1 << 22
_BLOCK = 4096

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Written candidates of requests, a request after another, each request's by stage from the last, then by place.

    Attributes:
        request: number of the request, from 0 in the order of time. Shape (rows,), as all that follow here.
        user, item: their places in the world.
        time: seconds since the first day began.
        stage: the stage that it reached, 1 to 4.
        position: place in the shown list from 1, or 0.
        click: 1 or 0, or -1 where it was not shown.
        stands_for: how many candidates of the same request and stage the row stands for.
    """

    request: Integers
    user: Integers
    item: Integers
    time: Integers
    stage: Integers
    position: Integers
    click: Integers
    stands_for: NDArray[np.float64]

    @classmethod
    def together(cls, parts: list[Rows]) -> Rows:
        """The rows of all parts, one after another."""
        return cls(
            **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)}
        )


def log(world: World, requests: int, bias: Bias, seed: int) -> Rows:
    """What the policy shows and drops in so many requests, at most `DAYS` days long."""
    numbers = np.arange(requests)
    user = _planted.by_power_law(world.random.uniform("activity", numbers), len(world.age), 0.6)
    time = np.sort((world.random.uniform("time", numbers) * DAYS * DAY).astype(np.int64))
    noise = np.random.default_rng([seed, 1])
    parts = []
    for block in _blocks(requests, min(_BLOCK, max(1, _BLOCK_SCORES // len(world.category)))):
        stages = _cascade(world, user[block], BIASES[bias], noise)
        parts.append(_rows(world, block, user[block], time[block], stages))
    return Rows.together(parts)


def _blocks(count: int, size: int) -> Iterator[Integers]:
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


def _cascade(world: World, user: Integers, bias: float, noise: np.random.Generator) -> list[Integers]:
    """Items that reached each of `STAGES`, of the last two the best first. Shapes (requests, RETRIEVED or less)."""
    popular = (bias * world.popularity).astype(np.float32)
    view = world.user_observable[user].astype(np.float32) @ world.item_observable.T.astype(np.float32)
    kept = _best(popular + view + _NOISE[0] * noise.standard_normal(view.shape, np.float32), RETRIEVED)
    reached = [kept]

    half = SIZE // 2
    view = 2**0.5 * np.einsum("rd,rid->ri", world.user_vectors[user, :half], world.item_vectors[kept][..., :half])
    scores = popular[kept] + view + _NOISE[1] * noise.standard_normal(kept.shape, np.float32)
    reached.append(np.take_along_axis(kept, _best(scores, PRE_RANKED), 1))

    kept = reached[-1]
    scores = popular[kept] + world.log_odds(user, kept) + _NOISE[2] * noise.standard_normal(kept.shape, np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")
    reached += [np.take_along_axis(kept, order[:, :many], 1) for many in (RANKED, SHOWN)]
    return reached


def _best(scores: NDArray[np.floating], many: int) -> Integers:
    """Places of the largest scores of each row, from the smallest place. Shape (rows, many)."""
    return np.sort(np.argpartition(-scores, many - 1, axis=1)[:, :many], axis=1)


def _rows(world: World, number: Integers, user: Integers, time: Integers, stages: list[Integers]) -> Rows:
    shown = stages[-1]
    place = np.arange(1, SHOWN + 1)
    liked = world.random.uniform("like", number[:, np.newaxis] * SHOWN + place) < expit(world.log_odds(user, shown))
    looked = world.random.uniform("look", number[:, np.newaxis] * SHOWN + place) < EXAMINED
    columns = [shown]
    widths, stands_for = [SHOWN], [1.0]
    for stage in (3, 2, 1):
        dropped = _dropped(stages[stage - 1], stages[stage])
        chosen = world.random.uniform(
            f"written of {stage}", number[:, np.newaxis] * RETRIEVED + np.arange(dropped.shape[1])
        )
        places = np.sort(np.argsort(chosen, axis=1, kind="stable")[:, : WRITTEN[stage]], axis=1)
        columns.append(np.take_along_axis(dropped, places, 1))
        widths.append(WRITTEN[stage])
        stands_for.append(dropped.shape[1] / WRITTEN[stage])
    width, requests = sum(widths), len(number)

    def tiled(values: NDArray) -> NDArray:
        return np.tile(values, requests)

    unexposed = np.full((requests, width - SHOWN), -1)
    return Rows(
        request=np.repeat(number, width),
        user=np.repeat(user, width),
        item=np.concatenate(columns, axis=1).ravel(),
        time=np.repeat(time, width),
        stage=tiled(np.repeat([4, 3, 2, 1], widths)),
        position=tiled(np.concatenate([place, np.zeros(width - SHOWN, np.int64)])),
        click=np.concatenate([(liked & looked).astype(np.int64), unexposed], axis=1).ravel(),
        stands_for=tiled(np.repeat(stands_for, widths)),
    )


def _dropped(before: Integers, after: Integers) -> Integers:
    """The items of each row of `before` that `after` lacks, in its order. Shape (requests, their number)."""
    left = ~(before[:, :, np.newaxis] == after[:, np.newaxis, :]).any(axis=2)
    return before[left].reshape(len(before), before.shape[1] - after.shape[1])
