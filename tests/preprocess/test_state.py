"""Every mean and every history of a small data set with ties in time, recomputed row by row in plain Python."""

import dataclasses
import itertools
import statistics

import ibis
import pyarrow as pa
import pytest
from by_hand import ByHand
from hypothesis import given, settings
from hypothesis import strategies as st
from support_specs import SHOP

from preprocess import state
from preprocess.names import INDEX, LABEL, PART, ROW, TIMESTAMP, USER
from preprocess.options import DataOptions
from preprocess.splits import TEST, TRAIN

HISTORY = 6
STATES = [
    {"split": "time", "state": "online"},
    {"split": "time", "state": "frozen"},
    {"split": "user_time", "state": "online"},
    {"split": "user_time", "state": "frozen"},
    {"split": "random", "state": "frozen"},
]
LEAKS = [("none",), ("target_mean",), ("history",), ("user_filter",), ("target_mean", "history", "user_filter")]
REFERENCE = [{"protocol": "reference"}] + [
    {
        "protocol": "reference",
        "leak": tuple(leak for leak in DataOptions(protocol="reference").resolved().leaks if leak != off),
    }
    for off in ("target_mean", "history", "user_filter")
]


@pytest.mark.parametrize(
    "options",
    [state | {"leak": leak} for state, leak in itertools.product(STATES, LEAKS)] + REFERENCE,
    ids=lambda options: "-".join(str(value) for value in options.values()),
)
def test_means_and_histories_equal_the_brute_force(small, prepared, samples, options):
    found = prepared(**options, max_history=HISTORY)
    rows = samples(found)
    resolved = DataOptions(**options, max_history=HISTORY).resolved()
    by_hand = ByHand(small.ratings, {row: sample["part"] for row, sample in rows.items()}, resolved)
    items = set(found.vocabulary("movie_id").tolist())

    assert found.manifest["training_mean_label"] == pytest.approx(by_hand.g, abs=1e-15)
    for expected in by_hand.rows:
        sample = rows[expected["row"]]
        assert sample["label"] == expected["label"]
        assert sample["timestamp"] == expected["time"]
        assert sample["user_mean_rating"] == pytest.approx(by_hand.mean(expected, "user"), abs=1e-12)
        assert sample["item_mean_rating"] == pytest.approx(by_hand.mean(expected, "item"), abs=1e-12)
        history = [item if item in items else "unseen" for item in by_hand.history(expected)]
        assert sample["user_hist"] == history


@pytest.mark.parametrize("split", ["time", "random"])
def test_the_user_filter_drops_the_rows_of_users_without_a_positive_in_their_part(small, prepared, samples, split):
    everything = samples(prepared(split=split))
    rows = samples(prepared(split=split, leak=("user_filter",)))
    positive = {(sample["group"], sample["part"] == "test") for sample in everything.values() if sample["label"]}
    kept = {row for row, sample in everything.items() if (sample["group"], sample["part"] == "test") in positive}
    assert rows.keys() == kept
    assert len(kept) < len(everything)


@pytest.mark.parametrize("options", [{}, {"state": "frozen"}, {"leak": ("target_mean",)}, {"protocol": "reference"}])
def test_the_catalogue_holds_every_item_with_its_current_mean(small, prepared, samples, options):
    import pyarrow.parquet as pq

    found = prepared(**options)
    rows = samples(found).values()
    resolved = DataOptions(**options).resolved()
    plain, g = "target_mean" in resolved.leaks, found.manifest["training_mean_label"]
    parts = (
        {"train", "validation"}
        if plain
        else {"train"}
        if resolved.state == "frozen"
        else {"train", "validation", "test"}
    )

    catalogue = pq.read_table(found.catalogue).to_pylist()
    assert [item["movie_id"] for item in catalogue] == sorted(small.movies)
    for item in catalogue:
        labels = [
            int(small.ratings[row["row"]][2] > 3)
            for row in rows
            if row["part"] in parts and small.ratings[row["row"]][1] == item["movie_id"]
        ]
        smoothed = (sum(labels) + 5 * g) / (len(labels) + 5)
        expected = (statistics.fmean(labels) if labels else g) if plain else smoothed
        assert item["item_mean_rating"] == pytest.approx(expected, abs=1e-12)
        assert item["genres"] == list(small.movies[item["movie_id"]][1])


ROWS = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 2), st.integers(-2, 5), st.sampled_from([0, 1, None]), st.integers(0, 2)
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=30, deadline=None)
@given(ROWS, st.sampled_from(["online", "frozen"]))
def test_whatever_the_ties_a_mean_never_counts_what_is_not_strictly_earlier(engine, rows, known):
    """Against the protocol's words; and all that is at a row's time or later can change without its knowing."""
    names = ("reader", "book", TIMESTAMP, LABEL, PART)

    def counts(rows):
        table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) | {ROW: n} for n, row in enumerate(rows)])
        table = ibis.memtable(table.set_column(3, LABEL, table[LABEL].cast(pa.int64())))
        options = DataOptions(split="user_time", state=known).resolved()
        return engine.table(state.with_counts(table, SHOP, options).order_by(ROW)).to_pylist()

    found = counts(rows)
    for number, (user, item, time, _, _) in enumerate(rows):
        earlier = [
            row for row in rows if row[2] < time and row[3] is not None and (known == "online" or row[4] == TRAIN)
        ]
        of_user, of_item = [row[3] for row in earlier if row[0] == user], [row[3] for row in earlier if row[1] == item]
        assert found[number]["_user_rows"] == len(of_user)
        assert found[number]["_user_positives"] == found[number]["_liked"] == sum(of_user)
        assert found[number]["_item_rows"] == len(of_item)
        assert found[number]["_item_positives"] == sum(of_item)
    middle = rows[len(rows) // 2][2]
    turned = [row if row[2] < middle or row[3] is None else (*row[:3], 1 - row[3], row[4]) for row in rows]
    for row, before, after in zip(rows, found, counts(turned), strict=True):
        if row[2] <= middle:
            assert before | {LABEL: None} == after | {LABEL: None}


@pytest.mark.parametrize("known", ["online", "frozen"])
def test_a_behaviour_at_the_last_training_second_is_known_and_one_after_it_is_not(engine, known):
    spec = dataclasses.replace(SHOP, behaviours=("books",))
    asked = [(0, 10, TRAIN), (0, 20, TRAIN), (0, 30, TEST), (1, 20, TEST), (1, 21, TEST)]
    rows = ibis.memtable([{USER: u, TIMESTAMP: t, PART: p, ROW: n} for n, (u, t, p) in enumerate(asked)])
    log = [(0, 9, 5), (0, 10, 6), (0, 20, 7), (0, 21, 8), (1, 19, 5), (1, 20, 6)]
    behaviours = [{USER: u, TIMESTAMP: t, ROW: n, INDEX.format("books"): index} for n, (u, t, index) in enumerate(log)]
    options = DataOptions(split="user_time", state=known, max_history=2).resolved()
    found, sequences = state.with_behaviours(engine, engine.save(rows), ibis.memtable(behaviours), spec, options)
    number, end = sequences.columns
    entries = engine.table(sequences.entries).to_pylist()
    lists = {}
    for row in engine.table(found).to_pylist():
        mine = sorted((e for e in entries if e[number] == row[number]), key=lambda e: (e[TIMESTAMP], e[ROW]))
        lists[row[ROW]] = [entry["books"] for entry in mine[: row[end]]][-2:]
    # 20 is the last training second: what happened then is known to later rows, what happened at 21 is not if frozen
    assert lists == {0: [5], 1: [5, 6], 2: [6, 7] if known == "frozen" else [7, 8], 3: [5], 4: [5, 6]}


@pytest.mark.parametrize("everything", [True, False])
def test_a_vocabulary_knows_behaviours_before_the_users_last_training_row(engine, everything):
    asked = [(0, 10, TRAIN), (0, 20, TRAIN), (0, 30, TEST), (1, 20, TEST)]
    rows = ibis.memtable([{"reader": u, TIMESTAMP: t, PART: p} for u, t, p in asked])
    log = [(0, 9), (0, 19), (0, 20), (0, 21), (1, 5), (2, 5)]
    behaviours = ibis.memtable([{"reader": u, TIMESTAMP: t} for u, t in log])
    found = engine.table(state.of_training_time(behaviours, rows, SHOP, everything)).to_pylist()
    expected = {(0, 9): True, (0, 19): True, (0, 20): everything, (0, 21): everything, (1, 5): everything}
    assert {(row["reader"], row[TIMESTAMP]): row["_known"] for row in found} == expected
