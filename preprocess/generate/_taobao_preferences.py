"""The planted preferences of the generated Taobao data: what ads are, what users like, and who sees what.

Categories belong to themes. A user has three favourite categories, whose themes the user's gender and age make more
likely; somebody who has a favourite category is its fan. The log odds of a click are

    1.5 * fan of the ad's category + 0.7 * fan of a category of the same theme
    - 0.25 * steps between the ad's price level and the user's
    + quality of the ad, of its category and of its brand + generosity of the user + the place's + offset

and a part of an ad's impressions goes to fans of its category. Users' activity, ads' impressions, and the sizes of
categories, brands, customers and campaigns are power laws or heavy-tailed; some users and ads appear late.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from preprocess.generate._counters import Counters
from preprocess.generate._planted import Floats, Integers, by_power_law

DAY = 86_400
DAYS, DAYS_OF_BEHAVIOUR = 8, 22
GROUPS = 13
"""Codes of `cms_group_id`, 0 to 12: what gender and age level make."""
_THEMES, _FAVOURITES, _PRICE_LEVELS = 24, 3, 3
_SESSIONS = 64
_FAN, _SAME_THEME, _PRICE_STEP, _PLACE = 1.5, 0.7, 0.25, 0.3
_TO_FANS, _BEHAVIOURS_TO_FANS = 0.3, 0.8
_HOURS = np.array([5, 3, 2, 1, 1, 2, 3, 5, 6, 7, 8, 8, 8, 8, 8, 8, 8, 8, 8, 9, 11, 12, 11, 8])


@dataclass(frozen=True)
class Ads:
    """Every ad; its id is its place + 1.

    Attributes:
        category, campaign, customer, brand: codes from 0. Shape (ads,), as all that follow.
        price: in yuan.
        price_level: third of the prices that it lies in, 0 to 2.
        theme: of the category.
        quality: log odds that ad, category and brand add.
        start: seconds after the first midnight before which the ad is not shown.
    """

    category: Integers
    campaign: Integers
    customer: Integers
    brand: Integers
    price: Floats
    price_level: Integers
    theme: Integers
    quality: Floats
    start: Floats

    @classmethod
    def draw(cls, count: int, categories: int, random: Counters) -> Ads:
        places = np.arange(count)
        customer = by_power_law(random.uniform("ad customer", places), max(1, count * 3 // 10), 0.6)
        # A customer sells one or two brands in a few categories.
        of_customer = customer * 4 + (random.uniform("ad line", places) * 4).astype(np.int64)
        category = by_power_law(random.uniform("customer category", of_customer), categories)
        brand = by_power_law(random.uniform("customer brand", of_customer // 2), max(2, count * 12 // 100), 0.8)
        log_price = 5.2 + 0.8 * random.normal("category price", category) + 0.9 * random.normal("ad price", places)
        price = np.maximum(np.round(np.exp(log_price), 1), 0.1)
        late = random.uniform("ad late", places) < 0.2
        quality = 0.5 * random.normal("ad quality", places) + 0.3 * random.normal("category quality", category)
        return cls(
            category=category,
            campaign=customer * 2 + (random.uniform("ad campaign", places) * 2).astype(np.int64),
            customer=customer,
            brand=brand,
            price=price,
            price_level=np.searchsorted(np.quantile(price, [1 / 3, 2 / 3]), price),
            theme=theme_of(category),
            quality=quality + 0.3 * random.normal("brand quality", brand),
            start=late * random.uniform("ad start", places) * (DAYS - 0.2) * DAY,
        )


def theme_of(category: Integers) -> Integers:
    """Theme of each category: they take turns, so that every theme has categories of every size."""
    return category % _THEMES


@dataclass(frozen=True)
class Users:
    """Every user; its id is its place + 1.

    Attributes:
        group: code of gender and age. Shape (users,), as all but the next and the last two.
        favourites: codes of the favourite categories. Shape (users, 3).
        price_level: that the user prefers, 0 to 2.
        generosity: log odds.
        arrival: seconds after the first midnight before which the user is not seen.
        activity: sum of the users' weights up to each one, ending with 1.
        sessions: how many visits the user's impressions spread over.
        fans: users sorted by favourite category. Shape (3 users,).
        fan_activity: sum of the fans' weights up to each one, from 0. Shape (3 users + 1,).
        category_ends: where each category's fans end in `fans`, from 0. Shape (categories + 1,).
    """

    group: Integers
    favourites: Integers
    price_level: Integers
    generosity: Floats
    arrival: Floats
    activity: Floats
    sessions: Integers
    fans: Integers
    fan_activity: Floats
    category_ends: Integers

    @classmethod
    def draw(cls, count: int, categories: int, random: Counters) -> Users:
        places = np.arange(count)
        group = by_power_law(random.uniform("user group", places), GROUPS, 0.5)
        favourites = _favourites(group, categories, random)
        late = random.uniform("user late", places) < 0.3
        arrival = late * random.uniform("user arrival", places) * (DAYS - 0.1) * DAY
        weights = np.exp(1.1 * random.normal("user activity", places)) * (1 - arrival / (DAYS * DAY))
        fans = np.argsort(favourites.ravel(), kind="stable") // _FAVOURITES
        sizes = np.bincount(favourites.ravel(), minlength=categories)
        return cls(
            group=group,
            favourites=favourites,
            price_level=(random.uniform("user price", places) * _PRICE_LEVELS).astype(np.int64),
            generosity=0.6 * random.normal("user generosity", places),
            arrival=arrival,
            activity=np.cumsum(weights) / weights.sum(),
            sessions=np.clip(3 * weights, 1, _SESSIONS).astype(np.int64),
            fans=fans,
            fan_activity=np.r_[0, np.cumsum(weights[fans])],
            category_ends=np.r_[0, np.cumsum(sizes)],
        )

    def seen(self, category: Integers, share: float, stream: str, rows: Integers, random: Counters) -> Integers:
        """A user for each row: by activity a fan of its category in a share of the rows, else anybody."""
        chosen = random.uniform(f"{stream} user", rows)
        user = np.searchsorted(self.activity, chosen)
        first, end = self.category_ends[category], self.category_ends[category + 1]
        fan = (random.uniform(f"{stream} to fans", rows) < share) & (end > first)
        low, high = self.fan_activity[first[fan]], self.fan_activity[end[fan]]
        place = np.searchsorted(self.fan_activity, low + chosen[fan] * (high - low), side="right") - 1
        user[fan] = self.fans[np.clip(place, first[fan], end[fan] - 1)]
        return np.minimum(user, len(self.group) - 1)

    def visits(self, user: Integers, stream: str, rows: Integers, random: Counters, days: int) -> Floats:
        """Seconds of each row after the first of some midnights: visits by the hour, two fifths of the rows tied."""
        session = (random.uniform(f"{stream} session", rows) * self.sessions[user]).astype(np.int64)
        share = random.uniform(f"{stream} session start", user * _SESSIONS + session)
        hour, day = np.modf(share * days)
        hour = np.interp(hour, np.r_[0, np.cumsum(_HOURS)] / _HOURS.sum(), np.arange(25) / 24)
        gap = -90 * np.log(random.uniform(f"{stream} gap", rows))
        return (day + hour) * DAY + np.where(random.uniform(f"{stream} tied", rows) < 0.4, 0, gap)


def _favourites(group: Integers, categories: int, random: Counters) -> Integers:
    """Favourite categories of users of each group: a theme by the group's taste, a category of it by size."""
    taste = random.normal("taste", np.arange(GROUPS * _THEMES)).reshape(GROUPS, _THEMES)
    weights = np.cumsum(np.exp(taste), axis=1)
    ends = (weights / weights[:, -1:] + np.arange(GROUPS)[:, None]).ravel()
    places = np.arange(len(group) * _FAVOURITES).reshape(len(group), _FAVOURITES)
    theme = np.searchsorted(ends, group[:, None] + random.uniform("favourite theme", places)) - _THEMES * group[:, None]
    rank = by_power_law(random.uniform("favourite category", places), -(-categories // _THEMES))
    return np.minimum(rank * _THEMES + np.clip(theme, 0, _THEMES - 1), categories - 1)


@dataclass(frozen=True)
class Impressions:
    """Some rows of raw_sample.csv.

    Attributes:
        ad, user: places. Shape (rows,), as all that follow.
        time: seconds after the first midnight.
        place: 0 or 1, which of the two places of a page.
        log_odds: of a click, without the offset.
    """

    ad: Integers
    user: Integers
    time: Integers
    place: Integers
    log_odds: Floats

    @classmethod
    def draw(cls, rows: Integers, ends: Integers, ads: Ads, users: Users, random: Counters) -> Impressions:
        """The rows of these numbers; `ends[i]` is the number of rows of the ads up to and with i."""
        ad = np.searchsorted(ends, rows, side="right")
        user = users.seen(ads.category[ad], _TO_FANS, "shown", rows, random)
        arrival, start = users.arrival[user], ads.start[ad]
        time = arrival + users.visits(user, "shown", rows, random, DAYS) * (1 - arrival / (DAYS * DAY))
        later = start + random.uniform("shown later", rows) * (DAYS * DAY - start)
        seconds = np.minimum(np.where(time < start, later, time), DAYS * DAY - 1).astype(np.int64)
        place = (random.uniform("shown place", rows) < 0.4).astype(np.int64)
        favourites = users.favourites[user]
        fan = (favourites == ads.category[ad][:, None]).any(axis=1)
        themed = (theme_of(favourites) == ads.theme[ad][:, None]).any(axis=1)
        steps = np.abs(users.price_level[user] - ads.price_level[ad])
        log_odds = _FAN * fan + _SAME_THEME * themed - _PRICE_STEP * steps
        log_odds += ads.quality[ad] + users.generosity[user] - _PLACE * place
        return cls(ad, user, seconds, place, log_odds)


@dataclass(frozen=True)
class Behaviours:
    """Some rows of behavior_log.csv: product pages, the products being those of the ads.

    Attributes:
        user: places. Shape (rows,), as all that follow.
        time: seconds after the first midnight of the impressions, from two weeks before.
        kind: code of page view, cart, favourite or buy.
        category, brand: codes.
    """

    user: Integers
    time: Integers
    kind: Integers
    category: Integers
    brand: Integers

    @classmethod
    def draw(
        cls, rows: Integers, ends: Integers, order: Integers, ads: Ads, users: Users, random: Counters
    ) -> Behaviours:
        """The rows of these numbers; `ends[i]` is the number of rows of the products up to and with `order[i]`."""
        product = order[np.searchsorted(ends, rows, side="right")]
        user = users.seen(ads.category[product], _BEHAVIOURS_TO_FANS, "viewed", rows, random)
        time = users.visits(user, "viewed", rows, random, DAYS_OF_BEHAVIOUR) - (DAYS_OF_BEHAVIOUR - DAYS) * DAY
        time = np.minimum(time, DAYS * DAY - 1)
        kind = np.searchsorted([0.955, 0.975, 0.985], random.uniform("viewed kind", rows))
        return cls(user, time.astype(np.int64), kind, ads.category[product], ads.brand[product])
