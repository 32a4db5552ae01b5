"""One model, or two at once: the other one answers a share of the users, or computes unheard beside the main one."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Semaphore
from typing import Any

from prerank.errors import InputError, RequestError
from prerank.preranker import PreRanker
from prerank.scored import Scored
from prerank.service.settings import Settings

User = dict[str, Any]
Ask = Callable[[PreRanker, list[User]], list[Scored]]
"""Asks a model for the answers of some users."""
MAIN, OTHER = "main", "other"
_WAITING = 16
"""Requests that may wait to be computed by the shadow; more are dropped."""


@dataclass(frozen=True)
class Answered:
    """An answer and the variant that gave it."""

    variant: str
    scored: Scored


class Variants:
    """The models of a service.

    Args:
        main: answers all users that the other does not.
        other: the other model, or None.
        share: share of the users that the other answers, by a hash of the user's id, so that each keeps the same model.
    """

    def __init__(self, main: PreRanker, other: PreRanker | None = None, share: float = 0.0):
        self.main, self.other, self._share = main, other, share

    @classmethod
    def open(cls, settings: Settings) -> Variants:
        """Open the models that the settings name.

        Raises:
            InputError: a model or an index is missing, damaged, or they do not belong together; or the other model
                takes other features of a user, or other ids.
        """
        main = PreRanker(settings.model, settings.index, watch=False)
        if settings.other is None:
            return cls(main)
        other = PreRanker(settings.other, settings.other_index, watch=False)
        _check(main, other, settings.other)
        return cls(main, other, settings.share)

    @property
    def all(self) -> dict[str, PreRanker]:
        """The models by their names in answers."""
        return {MAIN: self.main} | ({} if self.other is None else {OTHER: self.other})

    def about(self, variant: str) -> dict[str, str]:
        """What an answer says of the model that gave it: nothing where there is one only."""
        return {} if self.other is None else {"variant": variant, "model": self.all[variant].fingerprint[:12]}

    def ask(self, users: Sequence[User], ask: Ask) -> list[Answered]:
        """The answer of each user, by the model that is the user's.

        Raises:
            RequestError: as `ask`; numbers of users are those of the whole request.
        """
        chosen = [OTHER if self._is_others(user) else MAIN for user in users]
        found: dict[int, Answered] = {}
        for name, ranker in self.all.items():
            places = [place for place, variant in enumerate(chosen) if variant == name]
            if not places:
                continue
            try:
                answers = ask(ranker, [users[place] for place in places])
            except RequestError as error:
                if len(places) == len(users):
                    raise
                raise _renumbered(error, places) from error
            found |= {place: Answered(name, one) for place, one in zip(places, answers, strict=True)}
        return [found[place] for place in range(len(users))]

    def _is_others(self, user: User) -> bool:
        if self.other is None or not self._share:
            return False
        key = user.get(self.main.user_id, user)
        digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).digest()
        return int.from_bytes(digest[:8], "big") < self._share * 2**64


def _check(main: PreRanker, other: PreRanker, path: Path) -> None:
    """See that every request that one model takes is one for the other, too."""
    names = [{field["name"] for field in ranker.user_fields} for ranker in (main, other)]
    if differing := sorted(names[0] ^ names[1]):
        raise InputError(f"--other: the user feature {differing[0]!r} is one of one model only", path=path)
    if main.item_id_type != other.item_id_type:
        raise InputError(
            f"--other: item ids of {main.item_id_type} expected. Received: {other.item_id_type}", path=path
        )


def _renumbered(error: RequestError, places: Sequence[int]) -> RequestError:
    """An error about one of some users, with the number that the user has in the whole request."""
    field, text = error.field or "", str(error)
    several = re.match(r"users\.(\d+)", field)
    if several:
        place = places[int(several[1])]
        text = re.sub(r"^user \d+", f"user {place + 1}", text)
        return RequestError(text, field=f"users.{place}{field[several.end() :]}")
    if field == "user" or field.startswith("user."):
        return RequestError(re.sub("^user", f"user {places[0] + 1}", text), field=f"users.{places[0]}{field[4:]}")
    return error


class Shadow:
    """Computes answers of the other model beside the service's own, and only counts them.

    Args:
        ranker: the other model.
        count: takes what became of a request, "answered", "refused" or "dropped"; the share of the main answer's items
            that the other has too, or None; and seconds.
    """

    def __init__(self, ranker: PreRanker, count: Callable[[str, float | None, float], None]):
        self._ranker, self._count = ranker, count
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="prerank-shadow")
        self._places = Semaphore(_WAITING)

    def submit(self, users: list[User], ask: Ask, answers: Sequence[Scored]) -> None:
        """Compute a request, unless too many wait."""
        if not self._places.acquire(blocking=False):
            self._count("dropped", None, 0.0)
            return
        self._thread.submit(self._compute, users, ask, answers)

    def _compute(self, users: list[User], ask: Ask, answers: Sequence[Scored]) -> None:
        start = time.perf_counter()
        try:
            found = ask(self._ranker, users)
        except RequestError:
            self._count("refused", None, time.perf_counter() - start)
        else:
            shares = [_shared(one, other) for one, other in zip(answers, found, strict=True)]
            self._count("answered", sum(shares) / len(shares), time.perf_counter() - start)
        finally:
            self._places.release()

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _shared(one: Scored, other: Scored) -> float:
    """The share of an answer's items that another answer has, too; 1 if there are none."""
    own, others = set(one.ids.tolist()), set(other.ids.tolist())
    return len(own & others) / len(own) if own else 1.0


def describe(variants: Mapping[str, PreRanker]) -> dict[str, Any]:
    """What readiness says of the index of each model; the main one's own, and the other's by its name."""
    found = {name: {"index": ranker.version, "items": len(ranker)} for name, ranker in variants.items()}
    return found[MAIN] | {name: about for name, about in found.items() if name != MAIN}
