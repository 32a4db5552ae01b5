"""The planted world of generated requests: what users and items are, and what users like.

The log odds that a user likes an item, once the user looks at it, are

    offset + 1.3 * affinity + 0.7 * quality of the item
    affinity = user vector · item vector, of variance 1 over all pairs

A vector is the sum of the vectors of its attributes (age group, gender, segment and country; category, brand and the
logarithm of the price), of 85 % of its variance, and of a remainder of its own. So what is observable explains about
0.85² of the affinity. Vectors have the mean 0 over all users and over all items, so only quality is what all users
share. Quality depends on the brand in part. Popularity is what a logging policy likes besides: it has a correlation of
0.4 with quality, and none with anything else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.generate import _planted
from preprocess.generate._counters import Counters

AGES = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
GENDERS = ("female", "male")
COUNTRIES = ("br", "de", "in", "jp", "us")
SEGMENTS, CATEGORIES, BRANDS = 12, 24, 60
SIZE = 8
"""Length of a vector."""
OBSERVABLE = 0.85
"""Share of a vector's variance that its attributes explain."""
_AFFINITY, _QUALITY, _POPULARITY = 1.3, 0.7, 0.4
_BRAND_QUALITY = 0.6
_POSITIVES = 0.05
"""Mean probability over all pairs."""
_PAIRS = 1_000

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """Users, items, and what users like.

    Attributes:
        age, gender, country, segment: places in their names, or below their numbers. Shape (users,).
        category, brand: below their numbers. Shape (items,), as all that follow here.
        price: in a currency, with two digits.
        quality, popularity: of mean 0 and variance 1.
        user_vectors, item_vectors: scaled so that their product is the affinity. Shape (users or items, SIZE).
        user_observable, item_observable: what the attributes explain of them. Shapes as these.
        offset: of the log odds.
        random: further random numbers.
    """

    age: Integers
    gender: Integers
    country: Integers
    segment: Integers
    category: Integers
    brand: Integers
    price: Floats
    quality: Floats
    popularity: Floats
    user_vectors: Floats
    item_vectors: Floats
    user_observable: Floats
    item_observable: Floats
    offset: float
    random: Counters

    @classmethod
    def draw(cls, users: int, items: int, seed: int) -> World:
        """A world of so many users and items; the same numbers and seed give the same."""
        random = Counters(seed)
        who, what = np.arange(users), np.arange(items)
        people = {
            name: (random.uniform(name, who) * count).astype(np.int64)
            for name, count in (("age", len(AGES)), ("gender", len(GENDERS)), ("country", len(COUNTRIES)))
        }
        people["segment"] = _planted.by_power_law(random.uniform("segment", who), SEGMENTS, 0.5)
        brand = _planted.by_power_law(random.uniform("brand", what), BRANDS, 0.7)
        # a brand sells in three categories
        place = (random.uniform("category of brand", what) * 3).astype(np.int64)
        category = (random.uniform("brand's category", brand * 3 + place) * CATEGORIES).astype(np.int64)
        tier = random.normal("price", what) * 0.5 + random.normal("price of category", category) * 0.8
        price = np.maximum(np.round(np.exp(3.0 + tier), 2), 0.01)

        user_observable = _centred(
            _attribute("segment", people["segment"], 0.7, random)
            + _attribute("age", people["age"], 0.5, random)
            + _attribute("gender", people["gender"], 0.3, random)
            + _attribute("country", people["country"], 0.3, random)
        )
        direction = random.normal("price vector", np.arange(SIZE))
        item_observable = _centred(
            _attribute("category", category, 0.75, random)
            + _attribute("brand", brand, 0.5, random)
            + 0.4 * np.log(price)[:, np.newaxis] * direction
        )
        user_vectors = user_observable * OBSERVABLE**0.5 + _own("user", users, random) * (1 - OBSERVABLE) ** 0.5
        item_vectors = item_observable * OBSERVABLE**0.5 + _own("item", items, random) * (1 - OBSERVABLE) ** 0.5
        scale = float(
            np.sqrt(np.trace((user_vectors.T @ user_vectors / users) @ (item_vectors.T @ item_vectors / items)))
        )
        user_vectors, user_observable = user_vectors / scale, user_observable * OBSERVABLE**0.5 / scale

        own_quality = _BRAND_QUALITY * random.normal("brand quality", brand)
        own_quality += (1 - _BRAND_QUALITY**2) ** 0.5 * random.normal("quality", what)
        quality = _standard(own_quality)
        fame = _POPULARITY * quality + (1 - _POPULARITY**2) ** 0.5 * random.normal("popularity", what)
        log_odds = _log_odds(user_vectors[:_PAIRS], item_vectors[:_PAIRS], quality[:_PAIRS], 0.0)
        return cls(
            **people,
            category=category,
            brand=brand,
            price=price,
            quality=quality,
            popularity=_standard(fame),
            user_vectors=user_vectors,
            item_vectors=item_vectors,
            user_observable=user_observable,
            item_observable=item_observable * OBSERVABLE**0.5,
            offset=_planted.offset(log_odds.ravel(), _POSITIVES),
            random=random,
        )

    def log_odds(self, users: Integers, items: Integers) -> Floats:
        """Of pairs of a user and an item, by their places. Shapes (n,), (n,) or (n, m)."""
        vectors = self.item_vectors[items]
        affinity = np.einsum(
            "...d,...d->...", self.user_vectors[users].reshape(len(users), *[1] * (items.ndim - 1), SIZE), vectors
        )
        return self.offset + _AFFINITY * affinity + _QUALITY * self.quality[items]


def all_log_odds(users: Floats, items: Floats, quality: Floats, offset: float) -> Floats:
    """Log odds of all pairs of users and items.

    Args:
        users: their vectors. Shape (U, SIZE).
        items: their vectors. Shape (I, SIZE).
        quality: of the items. Shape (I,).
        offset: of the world.

    Returns:
        Shape (U, I).
    """
    return _log_odds(users, items, quality, offset)


def _log_odds(users: Floats, items: Floats, quality: Floats, offset: float) -> Floats:
    return offset + _AFFINITY * (users @ items.T) + _QUALITY * quality


def _attribute(name: str, codes: Integers, weight: float, random: Counters) -> Floats:
    """The vector of each row's value of an attribute. Shape (rows, SIZE)."""
    return weight * random.normal(f"{name} vector", codes[:, np.newaxis] * SIZE + np.arange(SIZE))


def _own(name: str, rows: int, random: Counters) -> Floats:
    return _centred(random.normal(f"{name} vector", np.arange(rows * SIZE).reshape(rows, SIZE)))


def _centred(vectors: Floats) -> Floats:
    """Vectors of mean 0 and of mean squared length 1."""
    vectors = vectors - vectors.mean(axis=0)
    return vectors / np.sqrt((vectors**2).sum(axis=1).mean())


def _standard(values: Floats) -> Floats:
    return (values - values.mean()) / values.std()
