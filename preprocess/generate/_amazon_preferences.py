"""The planted preferences of the generated Amazon data: what products are, what reviewers like and review.

Categories belong to departments. A reviewer has three favourite categories, of two departments, and reviews products of
them more often than others. The log odds of 4 or 5 stars are

    2.5 * favourite category + 1.0 * another category of a favourite's department
    - 0.5 * steps between the product's price level and the reviewer's
    + quality of the product and of its category + generosity of the reviewer + offset

so that means carry a part of the signal, and what was reviewed well before the larger part of the rest. Products'
popularity is a power law, reviewers' activity heavy-tailed, and some of both appear late.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from preprocess.generate._counters import Counters
from preprocess.generate._planted import Floats, Integers, by_power_law

DAY = 86_400
DAYS = 5_300
"""From the first to the last day on which somebody reviews."""
DEPARTMENTS = 16
_FAVOURITES, _PRICE_LEVELS, _SESSIONS, _REDRAWS = 3, 3, 64, 4
_FAVOURITE, _SAME_DEPARTMENT, _PRICE_STEP = 2.5, 1.0, 0.5
_FROM_FAVOURITES = 0.5


def department_of(category: Integers) -> Integers:
    """Department of each category: they take turns, so that every department has categories of every size."""
    return category % DEPARTMENTS


@dataclass(frozen=True)
class Items:
    """Every product.

    Attributes:
        category: code from 0. Shape (items,), as all but the last three.
        price: in dollars.
        price_level: third of the prices that it lies in, 0 to 2.
        quality: log odds that product and category add.
        start: day from 0 before which nobody reviews the product.
        sorted: products by category. Shape (items,).
        weight_ends: sum of their popularity up to each one, from 0, in that order. Shape (items + 1,).
        category_ends: where each category ends in `sorted`, from 0. Shape (categories + 1,).
    """

    category: Integers
    price: Floats
    price_level: Integers
    quality: Floats
    start: Integers
    sorted: Integers
    weight_ends: Floats
    category_ends: Integers

    @classmethod
    def draw(cls, count: int, categories: int, random: Counters) -> Items:
        places = np.arange(count)
        category = by_power_law(random.uniform("item category", places), categories, 0.8)
        log_price = 3.4 + 0.8 * random.normal("category price", category) + 0.8 * random.normal("item price", places)
        price = np.round(np.exp(log_price), 2).astype(np.float64) + 0.01
        late = random.uniform("item late", places) < 0.3
        popularity = 1 / (np.argsort(random.uniform("item rank", places)) + 20.0) ** 0.9
        by_category = np.argsort(category, kind="stable")
        return cls(
            category=category,
            price=price,
            price_level=np.searchsorted(np.quantile(price, [1 / 3, 2 / 3]), price),
            quality=0.8 * random.normal("item quality", places) + 0.4 * random.normal("category quality", category),
            start=(late * random.uniform("item start", places) ** 0.3 * 0.99 * DAYS).astype(np.int64),
            sorted=by_category,
            weight_ends=np.r_[0, np.cumsum(popularity[by_category])],
            category_ends=np.r_[0, np.cumsum(np.bincount(category, minlength=categories))],
        )

    def chosen(self, uniform: Floats, category: Integers) -> Integers:
        """A product for each row by popularity, of its category, or of any where that is -1 or empty."""
        first, end = self.category_ends[category], self.category_ends[category + 1]
        anywhere = (category < 0) | (first == end)
        low = np.where(anywhere, 0, self.weight_ends[first])
        high = np.where(anywhere, self.weight_ends[-1], self.weight_ends[end])
        place = np.searchsorted(self.weight_ends, low + uniform * (high - low), side="right") - 1
        return self.sorted[np.clip(place, 0, len(self.sorted) - 1)]


@dataclass(frozen=True)
class Users:
    """Every reviewer.

    Attributes:
        favourites: codes of the favourite categories. Shape (users, 3).
        price_level: that the reviewer prefers, 0 to 2. Shape (users,), as all that follow.
        generosity: log odds.
        arrival: day from 0 of the first review, about.
    """

    favourites: Integers
    price_level: Integers
    generosity: Floats
    arrival: Floats

    @classmethod
    def draw(cls, count: int, categories: int, random: Counters) -> Users:
        places = np.arange(count)
        of_user = 2 * places[:, None] + np.array([0, 0, 1])
        department = (random.uniform("user department", of_user) * DEPARTMENTS).astype(np.int64)
        ranks = -(-categories // DEPARTMENTS)
        rank = by_power_law(
            random.uniform("favourite", _FAVOURITES * places[:, None] + np.arange(_FAVOURITES)), ranks, 0.8
        )
        return cls(
            favourites=np.minimum(rank * DEPARTMENTS + department, categories - 1),
            price_level=(random.uniform("user price", places) * _PRICE_LEVELS).astype(np.int64),
            generosity=0.8 * random.normal("user generosity", places),
            arrival=0.99 * DAYS * random.uniform("user arrival", places) ** 0.4,
        )


@dataclass(frozen=True)
class Reviews:
    """All reviews of some reviewers, in the order of the reviewers.

    Attributes:
        user, item: places. Shape (rows,), as all that follow.
        day: from 0.
        log_odds: of 4 or 5 stars, without the offset.
    """

    user: Integers
    item: Integers
    day: Integers
    log_odds: Floats

    @classmethod
    def draw(cls, first: int, user: Integers, items: Items, users: Users, random: Counters) -> Reviews:
        """The reviews numbered from `first` on, of these reviewers in increasing order, none of them left out."""
        rows = np.arange(first, first + len(user))
        item = _items(rows, user, items, users, random)
        return cls(user, item, _days(rows, user, item, items, users, random), _log_odds(user, item, items, users))


def _items(rows: Integers, user: Integers, items: Items, users: Users, random: Counters) -> Integers:
    """A product for each row; one that a reviewer has already is drawn again, a few times at most."""
    item = np.full(len(rows), -1)
    again = np.arange(len(rows))
    for attempt in range(_REDRAWS):
        favourite = (random.uniform(f"which {attempt}", rows[again]) * _FAVOURITES / _FROM_FAVOURITES).astype(np.int64)
        category = users.favourites[user[again], np.minimum(favourite, _FAVOURITES - 1)]
        category = np.where(favourite < _FAVOURITES, category, -1)
        item[again] = items.chosen(random.uniform(f"item {attempt}", rows[again]), category)
        order = np.lexsort((rows, item, user))
        same = (np.diff(user[order]) == 0) & (np.diff(item[order]) == 0)
        again = np.sort(order[1:][same])
    return item


def _days(rows: Integers, user: Integers, item: Integers, items: Items, users: Users, random: Counters) -> Integers:
    """Reviewers write on a few days, several reviews on some; nobody reviews a product before its start."""
    session = (random.uniform("session", rows) * (1 + user % 8)).astype(np.int64)
    share = random.uniform("session start", user * _SESSIONS + session) * (session > 0)
    day = users.arrival[user] + (DAYS - users.arrival[user]) * share
    start = items.start[item]
    later = start + random.uniform("later", rows) * (DAYS - start)
    return np.minimum(np.where(day < start, later, day), DAYS - 1).astype(np.int64)


def _log_odds(user: Integers, item: Integers, items: Items, users: Users) -> Floats:
    category, favourites = items.category[item], users.favourites[user]
    favourite = (favourites == category[:, None]).any(axis=1)
    near = (department_of(favourites) == department_of(category)[:, None]).any(axis=1) & ~favourite
    steps = np.abs(users.price_level[user] - items.price_level[item])
    liked = _FAVOURITE * favourite + _SAME_DEPARTMENT * near - _PRICE_STEP * steps
    return liked + items.quality[item] + users.generosity[user]
