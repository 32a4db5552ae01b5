"""What a data set hands to the shared preparation: an :class:`Adapter` and the tables that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from features import FeatureSpec
from preprocess.engines import Engine
from preprocess.names import ROW, only
from preprocess.options import ResolvedOptions

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from preprocess.propensity import Propensity
    from preprocess.raw import RawFile, RawTable


@dataclass(frozen=True)
class RawData:
    """The rows of a data set and what is known of their users and items, in raw spelling.

    Values are as the contract has them (:mod:`prerank.values`); null is a missing value. No id of a user or an item, no
    request, no stage and no time is missing. A label may be, where the data have candidates that nobody has rated.

    Attributes:
        rows: one line a row: the columns :data:`preprocess.names.ROW` (int64, 0-based data line of the raw file),
            `TIMESTAMP` (int64 seconds; 0 where nothing is timed), `LABEL` (0, 1 or null), the user's and the item's id
            under the names that `spec` gives them, a column for each field in `spec.context`, and what
            :data:`preprocess.names.CARRIED` calls each of `spec.row_columns`: the request's id, all of whose rows have
            one user; the stage, an integer from 0 to 127; the weight, 0 or more or null; the teacher's logit or null.
        users: one line a user: its id and a column for each of `spec.table_fields("user")`. A user of `rows` without a
            line has only the id, everything else is missing.
        items: the same of the items.
        spec: the fields and their roles. Vocabulary sizes, means and scales are not filled in yet.
        behaviours: a log for the fields in `spec.behaviours`, one line a behaviour: the user's id, `TIMESTAMP` and
            `ROW` (int64, orders behaviours of the same time), and for each of the fields one value. None if there
            are no such fields.
        filter_by_part: what the `user_filter` leak drops: True, a user's rows in the test part, or in the others, if
            none of those is a positive; False, all rows of a user without a positive at all.
        utc_offset: `--split time` cuts by whole days of the time zone that is so many hours ahead of UTC: the last
            day is the test part, the day before the validation part. None: it cuts by shares of the rows.
        means_before_split: the `target_mean` leak takes means over all rows, before they are split; if not, over the
            test rows and over the others.
        timed: whether `TIMESTAMP` means something; if not, only `--split random` is possible, and nothing is as-of.
        notes: lines for the user about what the data lack.
        propensity: how likely a user looks at each place of a list; `rows` then have
            :data:`preprocess.names.POSITION` (an integer, or null) and a weight. None: places are not known.
    """

    rows: ir.Table
    users: ir.Table
    items: ir.Table
    spec: FeatureSpec
    behaviours: ir.Table | None = None
    filter_by_part: bool = True
    utc_offset: int | None = None
    means_before_split: bool = False
    timed: bool = True
    notes: tuple[str, ...] = ()
    propensity: Propensity | None = None


class Adapter(Protocol):
    """Reads the raw layouts of one data set. Knows nothing of splits, states, leaks and vocabularies."""

    @property
    def name(self) -> str:
        """Name of the data set: snake_case, also its folder's name."""

    @property
    def samples_version(self) -> int:
        """Changes whenever the same files and options give other samples; part of every run's id."""

    def find(self, data_path: Path) -> Mapping[str, Path]:
        """The raw files by role.

        Raises:
            InputError: they are not there; says which were expected.
        """

    def read(self, engine: Engine, files: Mapping[str, RawFile], options: ResolvedOptions) -> RawData:
        """Read and check the raw files.

        Args:
            engine: reads them.
            files: by role, those that :meth:`find` found.
            options: what is asked for; the protocol may decide which side a field is on.

        Raises:
            InputError: a line is wrong, with its number.
        """


def check_coverage(engine: Engine, rows: RawTable, key: str, known: RawTable, known_key: str, most: float = 0.2) -> int:
    """Raise an error if too many rows of one file have no line in another.

    Args:
        engine: counts.
        rows: the file whose rows would be lost.
        key: its column that names lines of the other.
        known: the other file.
        known_key: that file's column.
        most: largest share of `rows` that may find no line.

    Returns:
        How many of `rows` find none.

    Raises:
        InputError: more do; says how many, and names the first value without a line.
    """
    table = rows.table
    found = known.table.select(_known=known_key).distinct()
    lost = table.anti_join(found, table[key] == found["_known"])
    counted = engine.one(lost.agg(rows=lost.count(), first=lost[ROW].min()))
    total = engine.one(table.agg(rows=table.count()))["rows"]
    if counted["rows"] > most * total:
        one = table.filter(table[ROW] == counted["first"])
        example = engine.one(only(one, _value=one[key]))["_value"]
        raise rows.error(
            counted["first"],
            f"{counted['rows']} of {total} rows ({counted['rows'] / total:.0%}) have a {key} that "
            f"{known.file.path.name} does not hold, at most {most:.0%} may. The first: {example}",
        )
    return counted["rows"]
