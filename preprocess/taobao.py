"""Taobao display ads (Tianchi data set 56): the official files, clicks only, or one joined file.

The label is the click. A history comes from the log of behaviours where there is one (category, brand and kind of every
page view, cart, favourite and buy), else from earlier clicks. What no file tells is missing, and said.

`pid`, the place of the impression, is known with the request: a field of the user's side, but of the item's under the
reference protocol, as published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import ibis
import ibis.expr.types as ir

from features import FeatureSpec, Field, RawType
from preprocess.dataset import RawData, check_coverage
from preprocess.delimited import read
from preprocess.engines import Engine
from preprocess.names import LABEL, ROW, TIMESTAMP, only
from preprocess.options import ResolvedOptions
from preprocess.raw import Column, Layout, RawFile, RawTable, plain_or_gz
from prerank.errors import InputError

_SHANGHAI = 8
_LAST_TIME = (1 << 32) - 1
_KINDS_OF_BEHAVIOUR = ("pv", "cart", "fav", "buy")
PROFILE = (
    *("cms_segid", "cms_group_id", "final_gender_code", "age_level", "pvalue_level", "shopping_level", "occupation"),
    "new_user_class_level",
)
_AD = ("cate_id", "campaign_id", "customer", "brand", "price")
_CLICKED_AD = ("cate_id", "brand", "price_level")
_GENERATOR_FIELDS = ("cate_id", "customer", "brand")
_ZERO_IF_MISSING = ("pvalue_level", "new_user_class_level")
"""Columns of a profile that all copies but the official one spell 0 where they are empty."""
_HISTORIES = ("hist_cate", "hist_brand", "hist_btag")
_LENGTH = 50


def _integers(*names: str, required: bool = False) -> tuple[Column, ...]:
    return tuple(Column(name, "int", required, "NULL") for name in names)


def _csv(*columns: Column) -> Layout:
    return Layout(columns, ",", header=True, encoding="utf-8")


_LAYOUTS = {
    "raw_sample": _csv(
        *_integers("user", "time_stamp", "adgroup_id", "nonclk", "clk", required=True),
        Column("pid"),
    ),
    "ad_feature": _csv(
        *_integers("adgroup_id", required=True), *_integers(*_AD[:-1]), Column("price", "number", missing="NULL")
    ),
    "user_profile": _csv(*_integers("userid", required=True), *_integers(*PROFILE)),
    "behavior_log": _csv(
        *_integers("user", "time_stamp", required=True), Column("btag", required=True), *_integers("cate", "brand")
    ),
    "clicks": _csv(*_integers("user", "adgroup_id", "clk", required=True)),
    "clicked_ads": _csv(*_integers("adgroup_id", required=True), *_integers(*_CLICKED_AD)),
    "joined": Layout(
        (
            *_integers(*(f"{name}_{place}" for name in ("btag", "cate", "brand") for place in range(_LENGTH))),
            *(Column(f"other_{place}") for place in range(100)),
            *_integers("userid", required=True),
            *_integers(*PROFILE),
            *_integers("adgroup_id", required=True),
            *_integers(*_AD[:-1]),
            Column("price", "number"),
            Column("pid"),
            *_integers("clk", required=True),
        ),
        ",",
        encoding="utf-8",
    ),
}
_OFFICIAL = {name: f"{name}.csv" for name in ("raw_sample", "ad_feature", "user_profile", "behavior_log")}
_CLICKS = {"clicks": "clicks.csv", "clicked_ads": "ad_feature.csv", "user_profile": "user_profile.csv"}
_JOINED = {"joined": "alimama_sampled_train.txt"}


def _spec(
    options: ResolvedOptions,
    profile: tuple[str, ...],
    ad: tuple[str, ...],
    history: tuple[Field, ...] = (),
    **roles: tuple[str, ...],
) -> FeatureSpec:
    """The fields that there are, and their roles."""
    fields = [Field(name, "user", "sparse", "int64", name) for name in ("userid", *profile)]
    user_static, item_static = [*profile], [name for name in _GENERATOR_FIELDS if name in ad]
    if "pid" in roles.get("context", ()):
        of_item = options.protocol == "reference"
        fields.append(Field("pid", "item" if of_item else "user", "sparse", "string", "pid"))
        (item_static if of_item else user_static).append("pid")
    fields += history
    fields += [Field(name, "item", "sparse", "int64", name) for name in ("adgroup_id", *ad) if name != "price"]
    if "price" in ad:
        fields.append(Field("price", "item", "dense", "float32"))
        fields.append(Field("price_missing", "item", "sparse", "int64", "price_missing"))
    return FeatureSpec(
        dataset="taobao",
        fields=tuple(fields),
        user_id="userid",
        item_id="adgroup_id",
        user_static=tuple(user_static or ["userid"]),
        item_static=tuple(item_static or ["adgroup_id"]),
        history=history[0].name if history else None,
        category="cate_id" if "cate_id" in ad else None,
        context=roles.get("context", ()),
        behaviours=roles.get("behaviours", ()),
    )


def _sequences(kind: RawType) -> tuple[Field, ...]:
    """The histories of a log, whose behaviours have their `kind` as text or as integers."""
    types: tuple[RawType, ...] = ("int64", "int64", kind)
    return tuple(Field(name, "user", "sequence", raw, name) for name, raw in zip(_HISTORIES, types, strict=True))


_CLICK_HISTORY = (Field("hist_adgroup_id", "user", "sequence", "int64", "adgroup_id"),)


@dataclass(frozen=True)
class Taobao:
    """The adapter of the three layouts (see :class:`preprocess.dataset.Adapter`)."""

    name: str = "taobao"
    samples_version: ClassVar[int] = 2

    def find(self, data_path: Path) -> dict[str, Path]:
        """The raw files by role, each plain or as `.gz`.

        Raises:
            InputError: no layout is there; says which files were expected.
        """
        if data_path.is_file():
            return {"joined": data_path}
        if not data_path.is_dir():
            raise InputError("no such folder or file", path=data_path)
        for names in (_OFFICIAL, _CLICKS, _JOINED):
            found = {role: path for role, name in names.items() if (path := plain_or_gz(data_path / name))}
            if next(iter(names)) in found:
                return found
        first, *others = _OFFICIAL.values()
        raise InputError(
            f"not a Taobao folder: expected {first}, and where there are {', '.join(others)}; or "
            f"{_CLICKS['clicks']}; or {_JOINED['joined']} (each may end in .gz)",
            path=data_path,
        )

    def read(self, engine: Engine, files: Mapping[str, RawFile], options: ResolvedOptions) -> RawData:
        """Read and check the raw files.

        Raises:
            InputError: a line is wrong, with its number, or more than a fifth of the impressions have a user or an ad
                that its file does not hold.
        """
        raw = {role: read(engine, file, _LAYOUTS[role]) for role, file in files.items()}
        if "joined" in raw:
            return _joined(engine, raw["joined"], options)
        return _clicks(engine, raw, options) if "clicks" in raw else _official(engine, raw, options)


ADAPTER = Taobao()


def _official(engine: Engine, raw: Mapping[str, RawTable], options: ResolvedOptions) -> RawData:
    impressions, log = raw["raw_sample"], raw.get("behavior_log")
    _check_clicks(engine, impressions, nonclk=True)
    _check_time(engine, impressions)
    notes = []
    table = impressions.table
    made = {TIMESTAMP: table.time_stamp, LABEL: table.clk.cast("int8")}
    rows = only(table, ROW, "adgroup_id", "pid", userid=table.user, **made)
    users, items = rows.select("userid").distinct(), rows.select("adgroup_id").distinct()
    if "user_profile" in raw:
        users = _lines(engine, impressions, "user", raw["user_profile"], "userid")
    else:
        notes.append(f"no user_profile.csv: {', '.join(PROFILE)} are missing")
    if "ad_feature" in raw:
        items = _with_price_missing(_lines(engine, impressions, "adgroup_id", raw["ad_feature"], "adgroup_id"), rows)
    else:
        notes.append(f"no ad_feature.csv: {', '.join(_AD)} are missing")
    if log is None:
        notes.append("no behavior_log.csv: the history is one of earlier clicks")
    history = _CLICK_HISTORY if log is None else _sequences("string")
    spec = _spec(
        options,
        PROFILE if "user_profile" in raw else (),
        _AD if "ad_feature" in raw else (),
        history,
        context=("pid",),
        behaviours=() if log is None else _HISTORIES,
    )
    return RawData(
        rows=rows,
        users=users,
        items=items,
        spec=spec,
        behaviours=None if log is None else _behaviours(engine, log),
        filter_by_part=False,
        utc_offset=_SHANGHAI,
        notes=tuple(notes),
    )


def _clicks(engine: Engine, raw: Mapping[str, RawTable], options: ResolvedOptions) -> RawData:
    clicks = raw["clicks"]
    _check_clicks(engine, clicks)
    table = clicks.table
    made = {TIMESTAMP: ibis.literal(0, "int64"), LABEL: table.clk.cast("int8")}
    rows = only(table, ROW, "adgroup_id", userid=table.user, **made)
    users, items = rows.select("userid").distinct(), rows.select("adgroup_id").distinct()
    if "user_profile" in raw:
        users = _with_empty_levels(_lines(engine, clicks, "user", raw["user_profile"], "userid"))
    if "clicked_ads" in raw:
        items = _lines(engine, clicks, "adgroup_id", raw["clicked_ads"], "adgroup_id")
    missing = [_CLICKS[role] for role in ("user_profile", "clicked_ads") if role not in raw]
    notes = (f"no {' and no '.join(missing)}: their fields are missing",) if missing else ()
    spec = _spec(
        options,
        PROFILE if "user_profile" in raw else (),
        _CLICKED_AD if "clicked_ads" in raw else (),
        # what is earlier is not known, and all other clicks of a user would tell the label
        _CLICK_HISTORY if "history" in options.leaks else (),
    )
    return RawData(
        rows=rows,
        users=users,
        items=items,
        spec=spec,
        filter_by_part=False,
        timed=False,
        notes=("clicks without times and places: pid is missing, and there is no history of what was earlier", *notes),
    )


def _joined(engine: Engine, joined: RawTable, options: ResolvedOptions) -> RawData:
    _check_clicks(engine, joined)
    table = joined.table
    # padded with 0 on the left; brands may be 0 elsewhere too, where they are missing
    filled = [(table[f"cate_{place}"] != 0).cast("int64") for place in range(_LENGTH)]
    first = _LENGTH - sum(filled[1:], filled[0])
    lists = {
        f"hist_{name}": ibis.array([table[f"{name}_{place}"].nullif(0) for place in range(_LENGTH)])[first:]
        for name in ("cate", "brand", "btag")
    }
    made = {TIMESTAMP: ibis.literal(0, "int64"), LABEL: table.clk.cast("int8")}
    rows = engine.save(only(table, ROW, "userid", "adgroup_id", "pid", **made, **lists))
    ads = joined.one_each(engine, "adgroup_id", _AD)
    ads = ads.mutate(brand=ads.brand.nullif(0))
    return RawData(
        rows=rows,
        users=_with_empty_levels(joined.one_each(engine, "userid", PROFILE)),
        items=_with_price_missing(ads, rows),
        spec=_spec(options, PROFILE, _AD, _sequences("int64"), context=("pid", *_HISTORIES)),
        filter_by_part=False,
        timed=False,
        notes=("one joined file without times: price is normalised, and not in the official unit",),
    )


def _check_clicks(engine: Engine, rows: RawTable, *, nonclk: bool = False) -> None:
    table = rows.table.select(ROW, "clk", *(("nonclk",) if nonclk else ()))
    wrong = table.filter(~table.clk.isin((0, 1)))
    rows.check(engine, wrong, lambda row: f"clk is 0 or 1. Received: {row['clk']}")
    if nonclk:
        wrong = table.filter(table.nonclk != 1 - table.clk)
        rows.check(engine, wrong, lambda row: f"nonclk is not 1 - clk. Received: {row['nonclk']}")


def _check_time(engine: Engine, rows: RawTable) -> None:
    wrong = rows.table.filter(~rows.table.time_stamp.between(0, _LAST_TIME)).select(ROW, "time_stamp")
    rows.check(engine, wrong, lambda row: f"time_stamp has to be in seconds since 1970. Received: {row['time_stamp']}")


def _lines(engine: Engine, rows: RawTable, key: str, known: RawTable, known_key: str) -> ir.Table:
    """The lines of users or ads, after a check that most rows have one, and no user or ad two."""
    known.check_unique(engine, known_key)
    check_coverage(engine, rows, key, known, known_key)
    return known.table.drop(ROW)


def _with_price_missing(ads: ir.Table, rows: ir.Table) -> ir.Table:
    """Ads, those of `rows` that have no line too, with `price_missing`: 1 without a price, else 0."""
    unknown = rows.select("adgroup_id").distinct().anti_join(ads, "adgroup_id")
    empty = {name: ibis.null(kind) for name, kind in ads.schema().items() if name != "adgroup_id"}
    every = ads.union(unknown.mutate(**empty).select(ads.columns))
    return every.mutate(price_missing=every.price.isnull().cast("int64"))


def _with_empty_levels(users: ir.Table) -> ir.Table:
    return users.mutate(**{name: users[name].nullif(0) for name in _ZERO_IF_MISSING})


def _behaviours(engine: Engine, log: RawTable) -> ir.Table:
    table = log.table
    wrong = table.filter(~table.btag.isin(_KINDS_OF_BEHAVIOUR)).select(ROW, "btag")
    allowed = ", ".join(_KINDS_OF_BEHAVIOUR)
    log.check(engine, wrong, lambda row: f"btag is one of {allowed}. Received: {row['btag']}")
    _check_time(engine, log)
    fields = {"userid": table.user, "hist_cate": table.cate, "hist_brand": table.brand, "hist_btag": table.btag}
    return only(table, ROW, **{TIMESTAMP: table.time_stamp}, **fields)
