"""The bodies of requests, checked, with errors that name the field."""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prerank import reading
from prerank.errors import InputError, RequestError

M = TypeVar("M", bound="Message")
Id = int | str
User = dict[str, Any]


class Message(BaseModel):
    """What requests have in common. A misspelt key is an error, and no value is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    user: User | None = Field(None, description="Raw values by feature name. Either this or `users`.")
    users: list[User] | None = Field(None, description="Several users, each with an answer of its own.", min_length=1)
    strict: bool = Field(False, description="A candidate that the index does not hold is an error.")


class Reservation(BaseModel):
    """Places of a list for some of the items. Either `filter` or `candidates` says which, or both."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    places: int = Field(description="How many places.", ge=1)
    filter: dict[str, Any] | None = Field(None, description="Conditions on attributes of items.")
    candidates: list[Id] | None = Field(None, description="Item ids, such as those of another channel.")

    def given(self) -> dict[str, Any]:
        """What the request says."""
        return self.model_dump(exclude_none=True)


class Top(Message):
    """The best items for a user, best first."""

    n: int = Field(100, description="How many items.", ge=1)
    candidates: list[Id] | None = Field(None, description="Item ids to choose from; by default all of the index.")
    exclude: list[Id] = Field([], description="Item ids to leave out.")
    filter: dict[str, Any] = Field(
        {},
        description="Conditions on attributes of items: values, or an object with any, not, min, max.",
        examples=[{"category": ["shoes"], "price": {"max": 50}}],
    )
    value: str | None = Field(None, description="A numeric attribute; items rank by probability times it.")
    at_most: dict[str, int] = Field({}, description="How many items may share a value of an attribute.")
    reserve: list[Reservation] = Field(
        [],
        description="Places for some of the items, such as new ones.",
        examples=[[{"places": 2, "filter": {"age_days": {"max": 7}}}]],
    )


class Score(Message):
    """The scores of candidates for a user, in the order given."""

    candidates: list[Id] = Field(description="Item ids.")


KINDS: Mapping[Literal["top", "score"], type[Message]] = {"top": Top, "score": Score}


def parse(body: bytes, kind: type[M], max_items: int, max_users: int) -> tuple[M, list[User], bool]:
    """The message of a body, its users, and whether it named them as a batch.

    Raises:
        RequestError: the body is not JSON, or a field is wrong or too large; names the field.
    """
    try:
        values = reading.parse_json(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RequestError(f"body: not UTF-8 at byte {error.start}", field="body") from error
    except InputError as error:
        raise RequestError(f"body: {error}", field="body") from error
    if not isinstance(values, dict):
        raise RequestError("body: expected a JSON object", field="body")
    try:
        message = kind.model_validate(values)
    except ValidationError as error:
        problem = reading.problem(error, values)
        raise RequestError(problem, field=problem.partition(":")[0]) from error
    if (message.user is None) == (message.users is None):
        raise RequestError("user: expected either user or users", field="user")
    _bound("users", len(message.users or ()), max_users)
    _bound("n", getattr(message, "n", 0), max_items)
    for name in ("candidates", "exclude"):
        _bound(name, len(getattr(message, name, None) or ()), max_items)
    for place, one in enumerate(getattr(message, "reserve", ())):
        _bound(f"reserve.{place}.candidates", len(one.candidates or ()), max_items)
    batch = message.users is not None
    return message, message.users if message.users is not None else [message.user or {}], batch


def _bound(field: str, found: int, most: int) -> None:
    if found > most:
        raise RequestError(f"{field}: expected at most {most:,}. Received: {found:,}", field=field)
