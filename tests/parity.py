"""Small raw files of each data set, and the rows of their test parts as these files spell them.

They hold constants, numbers of every size, histories longer than `--max_history`, and values that are missing or that
training never saw. What a data set's adapter makes of several lines is made again here, in Python.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import taobao_files
import yaml

from preprocess.amazon import Amazon, AmazonOptions
from preprocess.dataset import Adapter
from preprocess.movielens import ADAPTER as MOVIELENS
from preprocess.options import DataOptions
from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from preprocess.prepared import PreparedData
from preprocess.taobao import ADAPTER as TAOBAO

MAX_HISTORY = 3
LARGEST, SMALLEST = 2**63 - 1, -(2**63)
START = 1_500_000_000
Spelt = dict[str, Any]


@dataclass(frozen=True)
class Raw:
    """Raw files, and what each of their rows says.

    Attributes:
        adapter: reads them.
        options: asks for them.
        rows: of each data line of the raw file what it says by field: texts, or what Parquet and JSON have.
        made: of each data line the label and the time, and by field what earlier lines give: the whole history.
    """

    adapter: Adapter
    options: Callable[[Path], DataOptions]
    rows: list[Spelt]
    made: list[Spelt] = field(default_factory=list)

    def prepare(self, folder: Path) -> PreparedData:
        """The data, prepared."""
        return prepare(self.adapter, self.options(folder), lambda line: None)


def rows_of_test(raw: Raw, prepared: PreparedData) -> list[Spelt]:
    """The rows of the test part as the raw files spell them, with the as-of means that the preparation gives them."""
    spec = prepared.spec
    means = [name for name in (spec.user_mean, spec.item_mean) if name]
    table = pa.concat_tables([pq.read_table(path) for path in prepared.parts("test")])
    return [
        raw.rows[row[spec.beside("row")]] | raw.made[row[spec.beside("row")]] | {name: row[name] for name in means}
        for row in table.to_pylist()
    ]


def _histories(rows: list[tuple[Any, Any, int, bool]], name: str) -> list[Spelt]:
    """By line, all that its user liked before: lines are (user, item, time, positive)."""
    order = sorted(range(len(rows)), key=lambda place: (rows[place][2], place))
    liked = [(rows[place][0], rows[place][2], rows[place][1]) for place in order if rows[place][3]]
    return [
        {name: [item for other, earlier, item in liked if other == user and earlier < time]}
        for user, _, time, _ in rows
    ]


def movielens(folder: Path) -> Raw:
    """ML-1M with users and movies of every kind: of one gender, without an age or genres, of the largest ids."""
    random = np.random.default_rng(1)
    users = [*range(1, 9), LARGEST, SMALLEST]
    described = {user: ("F", ("1", "18", "0", "-1", "")[user % 5], ("4", str(LARGEST))[user % 2]) for user in users}
    described |= {77: ("?", "99", "-5")}
    movies = {movie: ("Comedie|Ciné|War", "War", "", "Film-Noir|War")[movie % 4] for movie in range(10, 24)}
    movies |= {SMALLEST: "Unheard of|War", LARGEST: "Drama"}
    rows = []
    for place in range(400):
        late = place > 340  # the test part has users and movies of its own
        user = 77 if late and place % 5 == 0 else users[random.integers(0, 3 if place % 2 else len(users))]
        movie = list(movies)[random.integers(0, len(movies) if late else len(movies) - 2)]
        rows.append((user, movie, int(random.integers(1, 6)), START + place // 2))
    _write(folder / "ratings.dat", ["::".join(map(str, row)) for row in rows], "latin-1")
    _write(folder / "users.dat", [f"{user}::{'::'.join(known)}::01234" for user, known in described.items()], "latin-1")
    _write(folder / "movies.dat", [f"{movie}::Amélie::{genres}" for movie, genres in movies.items()], "latin-1")
    spelt = [
        {"user_id": str(user), "movie_id": str(movie), "genres": movies[movie]}
        | dict(zip(("gender", "age", "occupation"), described[user], strict=True))
        for user, movie, _, _ in rows
    ]
    # a line without an opinion is none
    liked = _histories([(user, str(movie), time, rating > 3) for user, movie, rating, time in rows], "user_hist")
    return Raw(MOVIELENS, _options(DataOptions, folder), spelt, liked)


def amazon(folder: Path) -> Raw:
    """Reviews in JSON and products as Python literals: prices of every size, no price, and no or strange categories."""
    random = np.random.default_rng(2)
    prices = (0.01, 1e-30, 3.4e38, -1, None, 16777217, 999.99)
    paths = (
        [["Electronics", "Cañon"], ["a", "b|c"]],
        [["😀 cafe\u0301"]],
        None,
        [["one"]],
        [["E", '27" screen']],
        [[]],
    )
    products = {f"B{number:03}": (prices[number % 7], paths[number % 6]) for number in range(21)}
    known = [*products, "B999 é"]  # the last has no line among the products
    rows = []
    for place in range(420):
        late = place > 350
        user = f"new {place % 3}" if late and place % 4 == 0 else f"A{random.integers(0, 3 if place % 2 else 12)} ü"
        asin = known[random.integers(0, len(known))] if late else known[random.integers(2, len(known) - 2)]
        rows.append((user, asin, int(random.integers(1, 6)), START + place // 3))
    names = ("reviewerID", "asin", "overall", "unixReviewTime")
    _write(folder / "reviews_Electronics_5.json", [json.dumps(dict(zip(names, row, strict=True))) for row in rows])
    lines = [
        {"asin": asin} | {name: value for name, value in zip(("price", "categories"), given, strict=True) if value}
        for asin, given in products.items()
    ]
    _write(folder / "meta_Electronics.json", [repr(line) for line in lines])
    spelt = []
    for user, asin, _, _ in rows:
        price, path = products.get(asin, (None, None))
        last = path[-1][-1] if path and path[-1] else None
        of_product = {"asin": asin, "categories": last, "price": price, "price_missing": int(price in (None, -1))}
        spelt.append({"reviewer_id": user} | of_product)
    liked = _histories([(user, asin, time, stars > 3) for user, asin, stars, time in rows], "user_hist")
    return Raw(Amazon(), _options(AmazonOptions, folder), spelt, liked)


def taobao(folder: Path) -> Raw:
    """All files: a price that never varies, fields that are NULL, behaviours without a brand, and a new place."""
    made = taobao_files.make()
    ads = [(*ad[:-1], "NULL" if ad[0] % 5 == 0 else "19.99") for ad in made.ads]
    data = taobao_files.Taobao([_moved(row) for row in made.rows], ads, made.users, made.log)
    data.write(folder)
    names = (*taobao_files.PROFILE.split(","), "new_user_class_level")
    users = {user[0]: dict(zip(names, map(str, user), strict=True)) for user in data.users}
    columns = ("adgroup_id", "cate_id", "campaign_id", "customer", "brand", "price")
    products = {ad[0]: dict(zip(columns, map(_null, ad), strict=True)) for ad in ads}
    spelt, made_rows = [], []
    log = sorted(enumerate(data.log), key=lambda entry: (entry[1][1], entry[0]))
    for user, time, ad, pid, _ in data.rows:
        product = products.get(ad, dict.fromkeys(columns) | {"adgroup_id": str(ad)})
        profile = users.get(user, dict.fromkeys(names) | {"userid": str(user)})
        spelt.append({"pid": pid} | profile | product | {"price_missing": str(int(product["price"] is None))})
        before = [entry for _, entry in log if entry[0] == user and entry[1] < time]
        lists = {"hist_btag": 2, "hist_cate": 3, "hist_brand": 4}
        made_rows.append({name: [_null(entry[place]) for entry in before] for name, place in lists.items()})
    return Raw(TAOBAO, _options(DataOptions, folder), spelt, made_rows)


def _moved(row: tuple) -> tuple:
    """A row whose place training never saw, in some of the last day's."""
    late = row[1] >= taobao_files.MIDNIGHT + 5 * taobao_files.DAY and row[2] % 3 == 0
    return (*row[:3], "999_é", row[4]) if late else row


def _null(value: Any) -> str | None:
    return None if value == "NULL" else str(value)


SCHEMA = {
    "dataset": "shop",
    "user_id": "who",
    "item_id": "what",
    "label": "bought",
    "time": {"column": "at", "unit": "ms"},
    "static": ["country", "brand"],
    "context": ["page", "load"],
    "category": "brand",
    "history": "liked",
    "user_mean": "eagerness",
    "item_mean": "appeal",
    "fields": {
        "who": {"side": "user"},
        "country": {"side": "user"},
        "height": {"side": "user", "kind": "dense"},
        "visits": {"side": "user", "kind": "dense"},
        "wishes": {"side": "user", "kind": "sequence", "type": "int64", "vocabulary": "what"},
        "page": {"side": "user", "type": "int64"},
        "load": {"side": "user", "kind": "dense"},
        "what": {"side": "item", "type": "int64"},
        "brand": {"side": "item"},
        "price": {"side": "item", "kind": "dense"},
        "size": {"side": "item", "kind": "dense"},
        "tags": {"side": "item", "kind": "sequence"},
    },
}
_EXTREMES = (3.4028234e38, -3.4028234e38, 1e-45, -1e-300, 0.0, 16777217.0, 0.1, None, -1.0, 1e9 + 1)
_NAMES = ("café", "cafe\u0301", "日本 😀", "İi", "x" * 70 + "é", "a\u2028b", "007", "7", " 7", "NULL", "nan")


def own(folder: Path, form: str, **options: Any) -> Raw:
    """Data of one's own in Parquet or csv: everything that a field may be.

    Args:
        folder: where the files go.
        form: "parquet" or "csv".
        options: of the preparation.
    """
    random = np.random.default_rng(3)
    users = {name: (number, _EXTREMES[number % len(_EXTREMES)]) for number, name in enumerate([*_NAMES, "new", "neu"])}
    items = [3, 0, -7, LARGEST, SMALLEST, 2**53 + 1, *range(1000, 1012), 555, 556]
    rows, liked = [], []
    for place in range(400):
        late = place > 330
        who = (
            list(users)[random.integers(0, len(users) if late else len(users) - 2)] if place % 2 else _NAMES[place % 3]
        )
        what = items[random.integers(0, len(items) if late else len(items) - 2)]
        number, extreme = users[who]
        at = START + place // 2
        rows.append(
            {
                "who": who,
                "country": "de",
                "height": 19.99,
                "visits": extreme,
                "wishes": (None, [], [3, None, 555], [LARGEST, -7, 1000, -1], [0])[number % 5],
                "page": (1, -1, None, 4 if late else 2)[random.integers(0, 4)],
                "load": _EXTREMES[random.integers(0, len(_EXTREMES))] if place % 3 else 1e9 + 1,
                "what": what,
                "brand": _NAMES[what % len(_NAMES)] if what % 3 else "",
                "price": 1e9 + what % 5 if what % 4 else None,
                "size": -2.5,
                "tags": ([], ["é", "", "日本"], ["unheard of" if what > 500 else "x"], ["x", "é", "y", "x"])[what % 4],
                "bought": int(random.random() < 0.4),
                "at": at * 1000 + 999,
            }
        )
        liked.append((who, str(what) if form == "csv" else what, at, rows[-1]["bought"] == 1))
    spelt = _write_own(folder, form, rows)
    asked = _options(OwnDataOptions, folder / f"rows.{form}", schema=folder / "schema.yaml", **options)
    return Raw(NoSchema(), asked, spelt, _histories(liked, "liked"))


def _write_own(folder: Path, form: str, rows: list[Spelt]) -> list[Spelt]:
    """Write rows and their schema, and return the rows as they are spelt."""
    folder.mkdir(parents=True)
    schema = SCHEMA
    if form == "csv":
        fields = {
            name: known | ({"separator": "|"} if known.get("kind") == "sequence" else {})
            for name, known in SCHEMA["fields"].items()
        }
        schema = SCHEMA | {"fields": fields}
        rows = [{name: _text(value) for name, value in row.items()} for row in rows]
        cells = [",".join(f'"{value}"' for value in row.values()) for row in rows]
        _write(folder / "rows.csv", [",".join(rows[0]), *cells])
    else:
        types = {"wishes": pa.list_(pa.int64()), "page": pa.int64()}
        columns = {name: pa.array([row[name] for row in rows], types.get(name)) for name in rows[0]}
        pq.write_table(pa.table(columns), folder / "rows.parquet")
    (folder / "schema.yaml").write_text(yaml.safe_dump(schema, sort_keys=False))
    return rows


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "|".join(map(_text, value))
    return "" if value is None else str(value)


def _options(kind: type[DataOptions], data_path: Path, **options: Any) -> Callable[[Path], DataOptions]:
    given: Mapping[str, Any] = {"data_path": data_path, "max_history": MAX_HISTORY, **options}
    return lambda folder: kind(prepared_dir=folder, **given)


def _write(path: Path, lines: list[str], encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + "\n" for line in lines).encode(encoding))


DATA: dict[str, Callable[[Path], Raw]] = {
    "movielens": movielens,
    "amazon": amazon,
    "taobao": taobao,
    "own-parquet": lambda folder: own(folder, "parquet"),
    "own-csv": lambda folder: own(folder, "csv"),
    "own-hashed": lambda folder: own(folder, "parquet", hash_buckets=6),
    "own-hashed-csv": lambda folder: own(folder, "csv", hash_buckets=6),
}
