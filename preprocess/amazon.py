"""Amazon reviews, the edition of 2014: 5-core reviews, ratings only, or one joined table; products where given.

The label is 1 for 4 or 5 stars and 0 below. The fields are those of the public HIT and IntTower code: reviewer, mean
rating and liked products; product, its category, price and mean rating. A product's category is the last name of its
last category path, as in the public preparation of these files for DIN. Data without ratings hold positives only.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from pydantic import Field

from preprocess import object_lines
from preprocess.dataset import Adapter, RawData, check_coverage
from preprocess.delimited import read
from preprocess.engines import Engine
from preprocess.names import LABEL, ROW, TIMESTAMP, only
from preprocess.object_lines import Member
from preprocess.options import DataOptions, ResolvedOptions
from preprocess.raw import Column, Layout, Place, RawFile, RawTable, plain_or_gz
from preprocess.records import first as first_line
from preprocess.schema import FieldSchema, Schema
from prerank.errors import InputError

Category = Literal[
    "amazon_instant_video", "apps_for_android", "automotive", "baby", "beauty", "books", "cds_and_vinyl",
    "cell_phones_and_accessories", "clothing_shoes_and_jewelry", "digital_music", "electronics",
    "grocery_and_gourmet_food", "health_and_personal_care", "home_and_kitchen", "kindle_store", "movies_and_tv",
    "musical_instruments", "office_products", "patio_lawn_and_garden", "pet_supplies", "sports_and_outdoors",
    "tools_and_home_improvement", "toys_and_games", "video_games",
]  # fmt: skip
CATEGORIES: tuple[Category, ...] = get_args(Category)

_SPELT = {"cds_and_vinyl": "CDs_and_Vinyl", "movies_and_tv": "Movies_and_TV"}
_LIKED = 4
_REVIEW = (
    Member("reviewerID", required=True),
    Member("asin", required=True),
    Member("overall", "label", required=True),
    Member("unixReviewTime", "seconds", required=True),
)
_PRODUCT = (Member("asin", required=True), Member("categories", "paths"), Member("price", "number"))
_REVIEWER, _ASIN = Column("reviewerID", required=True), Column("asin", required=True)
_OVERALL, _TIME = Column("overall", "label", required=True), Column("unixReviewTime", "seconds", required=True)
_OFFICIAL = {column.name: column for column in (_REVIEWER, _ASIN, _OVERALL, _TIME)} | {
    "categories": Column("categories"),
    "price": Column("price", "number"),
}
_DESCRIBED = {"categories": "string", "price": "float64"}
_RECHORUS = {"user_id": "reviewerID", "item_id": "asin", "time": "unixReviewTime"}
_RECHORUS_PRODUCT = Layout((Column("item_id", required=True), Column("i_category")), "\t", header=True)


class AmazonOptions(DataOptions):
    """Options of the Amazon data."""

    category: Category = Field("electronics", description="which of Amazon's data sets: names its files")

    def adapter(self, default: Adapter) -> Adapter:
        return Amazon(self.category)


def official_name(category: Category) -> str:
    """A category as the official files' names spell it, e.g. "Grocery_and_Gourmet_Food"."""
    words = category.split("_")
    return _SPELT.get(category) or "_".join(
        word if word in ("and", "for") and place else word.capitalize() for place, word in enumerate(words)
    )


def _schema(name: str) -> Schema:
    return Schema(
        dataset=name,
        fields={
            "reviewer_id": FieldSchema(side="user"),
            "asin": FieldSchema(side="item"),
            "categories": FieldSchema(side="item"),
            "price": FieldSchema(side="item", kind="dense"),
            "price_missing": FieldSchema(side="item", kind="dense"),
        },
        user_id="reviewer_id",
        item_id="asin",
        static=("reviewer_id", "user_mean_rating", "user_hist", "asin", "categories"),
        category="categories",
        history="user_hist",
        user_mean="user_mean_rating",
        item_mean="item_mean_rating",
    )


@dataclass(frozen=True)
class Amazon:
    """The adapter of one category's files (see :class:`preprocess.dataset.Adapter`)."""

    category: Category = "electronics"

    samples_version: ClassVar[int] = 2

    @property
    def name(self) -> str:
        return f"amazon_{self.category}"

    def find(self, data_path: Path) -> dict[str, Path]:
        """The reviews, and the products if they lie beside them, each plain or as `.gz`.

        Raises:
            InputError: there are no reviews; says which files were expected.
        """
        official = official_name(self.category)
        if data_path.is_file():
            reviews: Path | None = data_path
        elif data_path.is_dir():
            names = (f"reviews_{official}_5.json", f"ratings_{official}.csv", "amazon_eletronics.csv", "train.csv")
            reviews = next((file for name in names if (file := plain_or_gz(data_path / name))), None)
        else:
            raise InputError("no such folder or file", path=data_path)
        if reviews is None:
            raise InputError(
                f"no reviews of --category {self.category} (--download fetches them): expected {names[0]}, "
                f"{names[1]} or train.csv, each may end in .gz; or name a file",
                path=data_path,
            )
        products = plain_or_gz(reviews.with_name(f"meta_{official}.json")) or plain_or_gz(
            reviews.with_name("item_meta.csv")
        )
        return {"reviews": reviews} | ({"products": products} if products else {})

    def read(self, engine: Engine, files: Mapping[str, RawFile], options: ResolvedOptions) -> RawData:
        """Read and check the raw files.

        Raises:
            InputError: a line is wrong, with its number; or there are no ratings, and no negatives are asked for.
        """
        reviews, positives_only = _reviews(engine, files["reviews"])
        if positives_only and not options.negatives:
            raise InputError(
                "holds no ratings, so every line is a positive: --negatives N samples N other products for each",
                path=files["reviews"].path,
            )
        items, notes = _items(engine, reviews, files.get("products"), official_name(self.category))
        table = reviews.table
        made = {TIMESTAMP: table.unixReviewTime, LABEL: (table.overall >= _LIKED).cast("int8")}
        rows = only(table, ROW, "asin", reviewer_id=table.reviewerID, **made)
        return RawData(
            rows=rows,
            users=engine.save(rows.select("reviewer_id").distinct()),
            items=engine.save(items),
            spec=_schema(self.name).spec(),
            filter_by_part=False,
            means_before_split=True,
            notes=notes,
        )


def _reviews(engine: Engine, file: RawFile) -> tuple[RawTable, bool]:
    """Lines with the official columns, and categories and price if the file has them; whether it lacks ratings."""
    if _holds_objects(file):
        found, positives_only = _read_objects(engine, file, _REVIEW), False
    else:
        found, positives_only = _read_delimited(engine, file)
    wrong = found.table.filter(~found.table.overall.between(1, 5)).select(ROW, "overall")
    found.check(engine, wrong, lambda row: f"overall has to be between 1 and 5. Received: {row['overall']}")
    return found, positives_only


def _holds_objects(file: RawFile) -> bool:
    return file.path.name.removesuffix(".gz").endswith((".json", ".jsonl"))


def _read_objects(engine: Engine, file: RawFile, members: tuple[Member, ...]) -> RawTable:
    batches = object_lines.read(file.path, members)
    table = engine.load(object_lines.schema(members), batches)
    return RawTable(file, table, lambda row: Place(file.path, "line", row + 1))


def _read_delimited(engine: Engine, file: RawFile) -> tuple[RawTable, bool]:
    """A file with or without a header, commas or tabs, official or ReChorus' names; with or without ratings."""
    first = first_line(file.path, Layout((), "\n", encoding="utf-8"))[0]
    delimiter = "\t" if "\t" in first else ","
    names = [name.strip() for name in first_line(file.path, Layout((), delimiter, encoding="utf-8", quote='"'))]
    header = bool({*_OFFICIAL, *_RECHORUS} & {*names})
    if not header:
        found = {3: (_REVIEWER, _ASIN, _TIME), 4: (_REVIEWER, _ASIN, _OVERALL, _TIME)}.get(len(names))
        if found is None:
            raise InputError(
                "expected reviewerID,asin,overall,unixReviewTime, the same without overall, or a header with these "
                f"names. Received: {len(names)} columns",
                path=file.path,
                line=1,
            )
        columns = found
    elif "reviewerID" in names:
        needed = (_REVIEWER, _ASIN, _TIME)
        columns = tuple(column for column in _OFFICIAL.values() if column in needed or column.name in names)
    else:
        columns = tuple(Column(old, _OFFICIAL[new].kind, required=True) for old, new in _RECHORUS.items())
    quote = '"' if header else ""
    raw = read(engine, file, Layout(columns, delimiter, header=header, quote=quote, encoding="utf-8"))
    table = raw.table.rename({new: old for old, new in _RECHORUS.items() if old in raw.table.columns})
    positives_only = "overall" not in table.columns
    if positives_only:
        table = table.mutate(overall=ibis.literal(5.0))
    return raw.with_table(table), positives_only


def _items(engine: Engine, reviews: RawTable, file: RawFile | None, official: str) -> tuple[ir.Table, tuple[str, ...]]:
    """Every product known or reviewed: `asin`, `categories`, `price`, `price_missing`; and what the data lack."""
    if file is None:
        source = reviews
        described = [name for name in _DESCRIBED if name in reviews.table.columns]
        known = reviews.one_each(engine, "asin", described)
        notes = [f"no meta_{official}.json beside {reviews.file.path.name}"] if len(described) < len(_DESCRIBED) else []
    else:
        source = _products(engine, file)
        described = [name for name in _DESCRIBED if name in source.table.columns]
        known = source.first_of_each("asin", described)
        notes = [f"{file.path.name} has no {name}" for name in _DESCRIBED if name not in described]
        if lost := check_coverage(engine, reviews, "asin", source, "asin"):
            notes.append(f"{lost} of {reviews.file.lines} reviews are of products that {file.path.name} does not hold")
    if missing := [name for name in _DESCRIBED if name not in described]:
        notes[0] += f": {' and '.join(missing)} missing for every product"
        known = known.mutate(**{name: ibis.null(_DESCRIBED[name]) for name in missing})
    if "categories" in described:
        known = _with_category(engine, source, known)
    unknown = reviews.table.select("asin").distinct().anti_join(known, "asin")
    unknown = unknown.mutate(**{name: ibis.null(kind) for name, kind in _DESCRIBED.items()})
    items = known.select("asin", *_DESCRIBED).union(unknown)
    return items.mutate(price_missing=items.price.isnull().cast("float64")), tuple(notes)


def _products(engine: Engine, file: RawFile) -> RawTable:
    """The official products, or ReChorus'."""
    if _holds_objects(file):
        return _read_objects(engine, file, _PRODUCT)
    raw = read(engine, file, _RECHORUS_PRODUCT)
    return raw.with_table(raw.table.rename(asin="item_id", categories="i_category"))


def _with_category(engine: Engine, source: RawTable, known: ir.Table) -> ir.Table:
    """`categories` as one name: of category paths the last name of the last one; a text that is none stays."""
    column = known.categories
    if column.type().is_array():
        return known.mutate(categories=_last(_last(column)))
    if not (texts := engine.column(known.filter(column.startswith("[")).select("categories").distinct(), "categories")):
        return known
    names = [_name_of(engine, source, text) for text in texts]
    schema = pa.schema([("text", pa.string()), ("name", pa.string())])
    found = engine.load(schema, [pa.RecordBatch.from_arrays([pa.array(texts), pa.array(names)], schema=schema)])
    joined = known.left_join(found, known.categories == found.text)
    name = joined.text.isnull().ifelse(joined.categories, joined.name)
    return joined.mutate(categories=name).select(*known.columns)


def _last(values: ir.ArrayValue) -> ir.Value:
    return (values.length() > 0).ifelse(values[values.length() - 1], ibis.null(values.type().value_type))


def _name_of(engine: Engine, source: RawTable, text: str) -> str | None:
    """The last name of category paths that are written as a literal, or of one path."""
    try:
        found = ast.literal_eval(text)
        while isinstance(found, list):
            found = found[-1] if found else None
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        found = ()
    if found is not None and not isinstance(found, str):
        table = source.table
        row = engine.one(table.filter(table.categories == text).agg(row=table[ROW].min()))["row"]
        raise source.error(row, f"categories has to be text, or a literal list of category paths. Received: {text}")
    return found
