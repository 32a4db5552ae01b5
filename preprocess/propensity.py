"""Weights against position bias: a positive at a place that few users look at stands for several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from preprocess.engines import Engine
from preprocess.names import LABEL, PART, POSITION, ROW_WEIGHT
from preprocess.splits import TRAIN
from prerank.errors import InputError

MOST_PLACES = 1000


@dataclass(frozen=True)
class Propensity:
    """How likely a user looks at each place of a list.

    Attributes:
        given: the probabilities from the first place on; those of further places are that of the last. None: they are
            estimated, see :func:`estimated`.
        first: number of the first place.
        largest_weight: no positive is multiplied by more.
        column: the places' column in the raw data, for messages.
    """

    given: tuple[float, ...] | None
    first: int
    largest_weight: float
    column: str


def with_propensity(engine: Engine, rows: ir.Table, propensity: Propensity) -> tuple[ir.Table, dict[int, float]]:
    """Multiplies the weight of each positive by the inverse of its place's propensity, at most `largest_weight`.

    With the examination model, `p(click) = p(looked at) · p(relevant)`, the weighted sum of an item's positives is then
    its rows' sum of `p(relevant)`, wherever it was shown (Joachims et al., WSDM 2017). Rows without a place keep their
    weight. So do those at a place that the training part does not have.

    Args:
        engine: computes the click rates.
        rows: every row, with its part, label, weight and place.
        propensity: what is known of the places.

    Returns:
        The rows, and the propensity of each place that occurs.

    Raises:
        InputError: there are too many places, or no training row with a place is a positive.
    """
    placed = rows.filter(rows[POSITION].notnull())
    if propensity.given is None:
        found = estimated(engine, placed, propensity)
    else:
        places = engine.column(placed.select(POSITION).distinct().order_by(POSITION), POSITION)
        _check(places, propensity)
        last = len(propensity.given) - 1
        found = {int(place): propensity.given[min(int(place) - propensity.first, last)] for place in places}
    if not found:
        return rows, found
    inverse = {place: 1 / max(chance, 1 / propensity.largest_weight) for place, chance in found.items()}
    cases = [(rows[POSITION] == place, weight) for place, weight in inverse.items()]
    factor = ((rows[LABEL] == 1) & rows[POSITION].notnull()).ifelse(ibis.cases(*cases, else_=1.0), 1.0)
    return rows.mutate(**{ROW_WEIGHT: rows[ROW_WEIGHT].fill_null(1.0) * factor.fill_null(1.0)}), found


def estimated(engine: Engine, placed: ir.Table, propensity: Propensity) -> dict[int, float]:
    """The share of positives at each place among the labelled training rows there, divided by the largest share.

    That is the propensity, up to a factor, where items came to their places by chance.
    """
    training = placed.filter((placed[PART] == TRAIN) & placed[LABEL].notnull())
    counts = training.group_by(POSITION).agg(_rows=training.count(), _positives=training[LABEL].cast("int64").sum())
    table = engine.table(counts.order_by(POSITION))
    places = table[POSITION].to_pylist()
    _check(places, propensity)
    shares = [
        positives / size
        for size, positives in zip(table["_rows"].to_pylist(), table["_positives"].to_pylist(), strict=True)
    ]
    if not any(shares):
        raise InputError(f"position: no training row with a {propensity.column} is a positive, so nothing is estimated")
    return {int(place): share / max(shares) for place, share in zip(places, shares, strict=True)}


def _check(places, propensity: Propensity) -> None:
    if len(places) > MOST_PLACES:
        raise InputError(f"position: {propensity.column} has {len(places):,} places, expected at most {MOST_PLACES:,}")


def to_json(found: Mapping[int, float]) -> dict[str, float]:
    """The propensities as a manifest has them."""
    return {str(place): chance for place, chance in found.items()}
