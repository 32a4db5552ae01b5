"""Reserved places, beside a loop over the items by their scores."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prerank.attributes import read_attributes
from prerank.caps import Caps
from prerank.errors import RequestError
from prerank.item_states import ItemStates
from prerank.items import Rows
from prerank.lookup import lookup_of
from prerank.reserving import Choice, Reserve
from prerank.snapshot import Snapshot

COUNT = 60
IDS = np.arange(COUNT) * 2 + 1
REMOVED = np.array([3, 40])


def snapshot():
    random = np.random.default_rng(1)
    table = pa.table({"kind": random.choice(["a", "b", "c"], COUNT), "age": random.integers(0, 30, COUNT)})
    path = Path("generated")
    attributes = read_attributes(Rows(((path, table),)), table.column_names, [], path)
    return Snapshot("v000001", (0, 0), ItemStates(IDS, {}, "float32", attributes, REMOVED), lookup_of(IDS)), table


SNAPSHOT, TABLE = snapshot()
KIND, AGE = TABLE["kind"].to_pylist(), TABLE["age"].to_pylist()
MEETS = {
    "young": ({"filter": {"age": {"max": 4}}}, lambda place: AGE[place] <= 4),
    "channel": ({"candidates": [9, 21, 33, 45, 2, 7]}, lambda place: IDS[place] in (9, 21, 33, 45)),
    "both": (
        {"filter": {"kind": "a"}, "candidates": IDS[:20].tolist()},
        lambda place: place < 20 and KIND[place] == "a",
    ),
}  # fmt: skip


def expected(scores, allowed, n, wanted, most):
    """Reservations one after another, then the rest, each time the best item that fits; then by score."""
    chosen, order = [], sorted(allowed, key=lambda place: (-scores[place], place))

    def take(meets, count):
        for place in order:
            if count <= 0:
                return
            full = most and sum(KIND[other] == KIND[place] for other in chosen) >= most
            if place not in chosen and meets(place) and not full:
                chosen.append(place)
                count -= 1

    for name, places in wanted:
        take(MEETS[name][1], places - sum(map(MEETS[name][1], chosen)))
    take(lambda _: True, n - len(chosen))
    return sorted(chosen, key=lambda place: (-scores[place], place))


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 30),
    wanted=st.lists(st.tuples(st.sampled_from(sorted(MEETS)), st.integers(1, 6)), max_size=3),
    among=st.none() | st.sets(st.integers(0, COUNT - 1), min_size=1),
    most=st.none() | st.integers(1, 8),
)
def test_lists_are_those_of_a_loop(seed, n, wanted, among, most):
    if sum(places for _, places in wanted) > n:
        n = 30
    random = np.random.default_rng(seed)
    live = np.setdiff1d(np.arange(COUNT), REMOVED)
    positions = None if among is None else np.setdiff1d(sorted(among), REMOVED)
    allowed = live if positions is None else positions
    if not len(allowed):
        return
    scores = np.round(random.normal(size=COUNT), 1).astype(np.float32)  # with ties
    caps = None if most is None else Caps(SNAPSHOT.states.attributes, {"kind": most})
    choice = Choice(positions, REMOVED if positions is None else None, caps)
    asked = [{"places": places, **MEETS[name][0]} for name, places in wanted]
    places = Reserve(asked, SNAPSHOT, choice, n, "int64").choose(scores if positions is None else scores[positions])
    assert choice.items(places).tolist() == expected(scores, allowed.tolist(), n, wanted, most)


def test_an_item_that_is_good_enough_takes_no_place_from_others():
    scores = np.zeros(COUNT, np.float32)
    young = [place for place in range(COUNT) if AGE[place] <= 4 and place not in REMOVED]
    scores[young[:2]] = 5
    scores[[10, 11, 12]] = [4, 3, 2]
    reserve = Reserve([{"places": 2, "filter": {"age": {"max": 4}}}], SNAPSHOT, Choice(left_out=REMOVED), 4, "int64")
    assert reserve.choose(scores).tolist() == [*young[:2], 10, 11]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"places": 1}, "reserve: expected a list of objects"),
        ([3], "reserve.0: expected an object with places, and a filter or candidates. Received: 3"),
        ([{"places": 2}], "reserve.0: expected an object with places, and a filter or candidates"),
        ([{"places": 0, "filter": {}}], "reserve.0.places: expected a positive integer. Received: 0"),
        ([{"places": True, "filter": {}}], "reserve.0.places: expected a positive integer. Received: True"),
        ([{"places": 1, "filter": {}, "more": 1}], "reserve.0.more: there is no such key"),
        ([{"places": 1, "filter": {"colour": 1}}], "reserve.0.filter.colour: the index has no attribute"),
        ([{"places": 1, "candidates": ["x"]}], "reserve.0.candidates: an item id has to be an integer"),
        ([{"places": 3, "filter": {}}, {"places": 3, "filter": {}}], "reserve: 6 places of a list of 5"),
    ],
)
def test_a_wrong_reservation_is_named(wanted, message):
    with pytest.raises(RequestError) as error:
        Reserve(wanted, SNAPSHOT, Choice(left_out=REMOVED), 5, "int64")
    assert str(error.value).startswith(message)
    assert error.value.field == message.partition(":")[0]
