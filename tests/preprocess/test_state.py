"""Every mean and every history of a small data set with ties in time, recomputed row by row in plain Python."""

import itertools
import statistics

import pytest
from by_hand import ByHand

from preprocess.options import DataOptions

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
