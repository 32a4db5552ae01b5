"""What a data set's columns mean, as one typed object: written by a user in YAML, or by an adapter.

A schema says which fields there are and which roles they play, and yields the feature specification. For data of one's
own it also says where label and time are found; docs/own-data.md explains each key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic import Field as Option

from features import ROW_COLUMNS, FeatureSpec, Field, Kind, RawType, RowColumn, Side
from preprocess.yaml_files import read_yaml
from prerank.errors import InputError
from prerank.options import Options
from prerank.reading import InnerPath, problem

Name = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]*$", max_length=100)]
LabelName = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]*$", max_length=40)]
Column = Annotated[str, StringConstraints(min_length=1)]


class FieldSchema(Options):
    """One field, and the column that it is read from."""

    side: Side = Option(description="user (also what is known with the request) or item")
    kind: Kind = Option(default="sparse", description="sparse: an id or a category; sequence: several; dense: a number")
    type: Literal["string", "int64"] = Option(
        default="string", description="how values are spelt; of no effect if dense"
    )
    column: Column | None = Option(default=None, description="the column's name in the data, if it is not the field's")
    separator: str | None = Option(
        default=None, min_length=1, description="stands between the values of a sequence that is one text; none: a list"
    )
    vocabulary: Name | None = Option(
        default=None, description="shares values and embeddings with fields that name the same"
    )


class LabelSchema(Options):
    """The label's column: 0 or 1, or a number that is made one."""

    column: Column
    optional: bool | None = Option(
        default=None, description="whether rows may lack the label; none: they may if the schema has a stage"
    )
    positive_from: float | None = Option(default=None, description="the label is 1 from this number on, and 0 below")
    leave_out: tuple[float, ...] = Option(default=(), description="rows with one of these numbers are dropped")


class TimeSchema(Options):
    """The time's column: integers since 1970-01-01 UTC, or timestamps."""

    column: Column
    unit: Literal["s", "ms", "us", "ns"] = Option(default="s", description="of integers")


class RequestSchema(Options):
    """The column with the id of a row's request: the list of candidates that was answered at one moment."""

    column: Column
    type: Literal["string", "int64"] = Option(default="string", description="how ids are spelt")


class StageSchema(Options):
    """The column that says how far a candidate got: integers, larger the farther, or names in an order."""

    column: Column
    order: tuple[str, ...] | None = Option(
        default=None, min_length=1, max_length=127, description="the names, from the first stage to the last"
    )

    @field_validator("order", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        """Numbers in YAML are names, too."""
        return [str(name) if type(name) is int else name for name in value] if isinstance(value, list) else value

    @model_validator(mode="after")
    def _check(self) -> StageSchema:
        names = self.order or ()
        if "" in names:
            raise ValueError("stage.order: a name is empty")
        if repeated := [name for place, name in enumerate(names) if name in names[:place]]:
            raise ValueError(f"stage.order: {repeated[0]!r} occurs twice")
        return self


class PositionSchema(Options):
    """The column with a row's place in the list that was shown. Positives at places that few look at weigh more."""

    column: Column
    first: int = Option(default=1, ge=0, le=1, description="number of the first place")
    propensity: tuple[float, ...] | None = Option(
        default=None,
        min_length=1,
        max_length=1000,
        description="chance that a user looks at each place, from the first on; none: estimated by the shares of "
        "positives, which holds where items came to their places by chance",
    )
    largest_weight: float = Option(default=10.0, ge=1, le=1000, description="no positive is multiplied by more")

    @field_validator("propensity")
    @classmethod
    def _chances(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if wrong := [chance for chance in value or () if not 0 < chance <= 1]:
            raise ValueError(f"position.propensity: expected numbers above 0, at most 1. Received: {wrong[0]}")
        return value


class FilesSchema(Options):
    """Names of the files in the folder `--data_path`; without users or items, `rows` has their columns too."""

    rows: InnerPath
    users: InnerPath | None = None
    items: InnerPath | None = None


def _named(key: str) -> BeforeValidator:
    """A column's name stands for an object that has it as its `key`."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


class Schema(Options):
    """A data set: its fields and their roles; and for own data, where the rest is found.

    Raises:
        pydantic.ValidationError: a key is wrong, or a role names no field of its side.
    """

    dataset: Name = Option(description="name of the data set, and of its runs' folder")
    fields: dict[Name, FieldSchema] = Option(description="the fields by name; these name the model's inputs")
    user_id: str = Option(description="the field that identifies a user")
    item_id: str = Option(description="the field that identifies an item")
    static: tuple[str, ...] = Option(
        default=(), description="fields that do not change from row to row of a user or an item"
    )
    context: tuple[str, ...] = Option(
        default=(), description="fields that belong to the row, and not to its user or item"
    )
    category: str | None = Option(default=None, description="the item's category")
    history: Name | None = Option(default=None, description="name of a field to be made: items of the user's positives")
    user_mean: Name | None = Option(default=None, description="name of a field to be made: mean label of the user")
    item_mean: Name | None = Option(default=None, description="name of a field to be made: mean label of the item")
    label: Annotated[LabelSchema, _named("column")] | None = Option(
        default=None, description="column; none: positives only"
    )
    labels: dict[LabelName, Annotated[LabelSchema, _named("column")]] | None = Option(
        default=None, min_length=1, max_length=8, description="several labels by name, in place of label"
    )
    time: Annotated[TimeSchema, _named("column")] | None = Option(
        default=None, description="column; none: nothing is timed"
    )
    request: Annotated[RequestSchema, _named("column")] | None = Option(
        default=None, description="column; rows with the same value are the candidates of one request"
    )
    stage: Annotated[StageSchema, _named("column")] | None = Option(
        default=None, description="column; how far a candidate got in the cascade"
    )
    weight: Column | None = Option(default=None, description="column; how much a row counts, 0 or more; 1 if missing")
    position: Annotated[PositionSchema, _named("column")] | None = Option(
        default=None, description="column; a row's place in the list that was shown, for weights against position bias"
    )
    teacher: Column | None = Option(default=None, description="column; the logit that a ranker gave the row, if any")
    privileged: tuple[str, ...] = Option(default=(), description="fields that only a teacher may see")
    utc_offset: int | None = Option(
        default=None, ge=-12, le=14, description="--split time cuts by whole days of this time zone, hours ahead of UTC"
    )
    files: Annotated[FilesSchema, _named("rows")] | None = Option(
        default=None, description="names of files in the folder --data_path; none: --data_path is the one file"
    )
    delimiter: str = Option(default=",", min_length=1, max_length=1, description="between two values of a csv file")

    @field_validator("delimiter")
    @classmethod
    def _delimits(cls, value: str) -> str:
        if value in '"\r\n':
            raise ValueError("a quote or a line end cannot stand between values")
        return value

    @model_validator(mode="before")
    @classmethod
    def _first_label(cls, values: Any) -> Any:
        """The first of several labels is the label, of which means and histories are made."""
        if not isinstance(values, dict) or not isinstance(labels := values.get("labels"), dict) or not labels:
            return values
        if values.get("label") is not None:
            raise ValueError("label and labels: give one of both")
        return values | {"label": next(iter(labels.values()))}

    @model_validator(mode="after")
    def _check(self) -> Schema:
        made = [name for name in (self.history, self.user_mean, self.item_mean) if name]
        if repeated := [name for place, name in enumerate(made) if name in self.fields or name in made[:place]]:
            raise ValueError(f"{repeated[0]}: history, user_mean and item_mean name new fields, each another one")
        for key, side in (("user_id", "user"), ("item_id", "item"), ("category", "item")):
            name = getattr(self, key)
            if name is not None and (name not in self.fields or self.fields[name].side != side):
                raise ValueError(f"{key}: names no field of the {side}'s side. Received: {name!r}")
        for name in (self.user_id, self.item_id):
            if self.fields[name].kind != "sparse" or name in self.context:
                raise ValueError(f"{name}: an id has to be sparse, and not of the context")
        for key in ("static", "context", "privileged"):
            allowed = {*self.fields, *(() if key == "context" else made)}
            if unknown := [name for name in getattr(self, key) if name not in allowed]:
                raise ValueError(f"{key}: names no field. Received: {unknown[0]!r}")
        if both := [name for name in self.static if name in self.context]:
            raise ValueError(f"static: {both[0]!r} is of the context, so it changes from row to row")
        if self.stage and not self.label:
            raise ValueError("stage: a label is needed too, as rows of the last stage need not be positives")
        if self.position and not self.label:
            raise ValueError("position: a label is needed too, as places say how often positives are seen")
        if ids := [name for name in (self.user_id, self.item_id) if name in self.privileged]:
            raise ValueError(f"privileged: {ids[0]!r} is an id, and every model needs it")
        for name, field in self.fields.items():
            if field.separator is not None and field.kind != "sequence":
                raise ValueError(f"fields.{name}.separator: the field is no sequence")
        return self

    @property
    def row_columns(self) -> tuple[RowColumn, ...]:
        """What the rows carry beside fields and label."""
        weighted = self.weight is not None or self.position is not None
        given = {"request": self.request, "stage": self.stage, "weight": weighted or None, "teacher": self.teacher}
        return tuple(name for name in ROW_COLUMNS if given[name] is not None)

    @property
    def further_labels(self) -> dict[str, LabelSchema]:
        """The labels beside the first, by name."""
        return dict(list((self.labels or {}).items())[1:])

    def may_lack(self, label: LabelSchema | None) -> bool:
        """Whether rows may lack a label."""
        if label is None or label.optional is None:
            return self.stage is not None
        return label.optional

    def spec(self) -> FeatureSpec:
        """The specification, without vocabulary sizes, means and scales: user side first, made fields last in each."""
        made: dict[Side, list[Field]] = {"user": [], "item": []}
        if self.user_mean:
            made["user"].append(Field(self.user_mean, "user", "dense", "float32"))
        if self.history:
            item = self.fields[self.item_id]
            vocabulary = item.vocabulary or self.item_id
            made["user"].append(Field(self.history, "user", "sequence", item.type, vocabulary))
        if self.item_mean:
            made["item"].append(Field(self.item_mean, "item", "dense", "float32"))
        sides: tuple[Side, Side] = ("user", "item")
        fields = {side: [*self._given(side), *made[side]] for side in sides}
        names = {field.name for side in sides for field in fields[side]}
        static = {side: tuple(field.name for field in fields[side] if field.name in self.static) for side in sides}
        return FeatureSpec(
            dataset=self.dataset,
            fields=(*fields["user"], *fields["item"]),
            user_id=self.user_id,
            item_id=self.item_id,
            user_static=static["user"],
            item_static=static["item"],
            context=self.context,
            history=self.history,
            category=self.category,
            user_mean=self.user_mean,
            item_mean=self.item_mean,
            label="label" if "label" not in names else "_label",
            row_columns=self.row_columns,
            privileged=self.privileged,
            labels=tuple(self.labels or ()),
        )

    def _given(self, side: Side) -> list[Field]:
        found = []
        for name, field in self.fields.items():
            if field.side == side:
                raw_type: RawType = "float32" if field.kind == "dense" else field.type
                vocabulary = "" if field.kind == "dense" else field.vocabulary or name
                found.append(Field(name, side, field.kind, raw_type, vocabulary, separator=field.separator or ""))
        return found


def load(path: Path) -> Schema:
    """Read a schema from YAML.

    Raises:
        InputError: it cannot be read, is no YAML, or a key is wrong; names the key.
    """
    values = read_yaml(path, "--schema")
    try:
        return Schema.model_validate(values)
    except ValidationError as error:
        raise InputError(problem(error, values), path=path) from error


if __name__ == "__main__":
    from preprocess.schema_guess import main

    main()
