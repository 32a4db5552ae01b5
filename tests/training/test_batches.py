from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from sample import prepared, sample_folder  # noqa: F401

from features import MISSING, UNSEEN
from training import batches as module
from training.batches import Batches, Share, read_columns


def _epoch(batches, number=0):
    return [tuple(array.copy() for array in rows) for rows in batches.epoch(number)]


def test_every_row_once_in_batches_of_nearly_equal_size(prepared):  # noqa: F811
    batches = Batches(prepared, "train", 500, shuffle=True)
    sizes = [len(floats) for _, floats in _epoch(batches)]
    assert len(sizes) == len(batches)
    assert sum(sizes) == prepared.rows("train")
    assert max(sizes) <= 500
    assert max(sizes) - min(sizes) <= 1
    plain = np.concatenate([np.hstack(rows) for rows in _epoch(Batches(prepared, "train", 500))])
    shuffled = np.concatenate([np.hstack(rows) for rows in _epoch(batches)])
    assert not np.array_equal(plain, shuffled)
    assert np.array_equal(plain[np.lexsort(plain.T)], shuffled[np.lexsort(shuffled.T)])


def test_order_and_masks_are_a_function_of_seed_and_epoch(prepared):  # noqa: F811
    def first(seed, epoch):
        batches = Batches(prepared, "train", 256, shuffle=True, oov_rate=0.1, seed=seed)
        return np.hstack(_epoch(batches, epoch)[0])

    assert np.array_equal(first(1, 2), first(1, 2))
    assert not np.array_equal(first(1, 2), first(1, 3))
    assert not np.array_equal(first(1, 2), first(2, 2))


class _FirstColumn:
    """Plans the first user and the number of rows of a batch, under the name of a field."""

    signature = {"user_id": tf.TensorSpec([None], tf.int32)}

    def __call__(self, inputs):
        return {"user_id": np.array([inputs["user_id"][0], len(inputs["user_id"])], np.int32)}


def test_a_plan_is_of_the_batch_as_it_is_given_and_changes_nothing_else(prepared):  # noqa: F811
    def batches():
        return Batches(prepared, "train", 500, shuffle=True, oov_rate=0.3)

    plain, planned = batches().dataset(first_epoch=2), batches().dataset(first_epoch=2, plan=_FirstColumn())
    for one, other in zip(plain, planned, strict=True):
        assert other.plan["user_id"].numpy().tolist() == [int(one.features["user_id"][0]), len(one.labels)]
        assert one.plan == {}
        assert np.array_equal(one.labels, other.labels)
        assert one.features.keys() == other.features.keys()
        for name in one.features:
            assert np.array_equal(one.features[name], other.features[name]), name


def test_a_plain_batch_is_its_rows(prepared):  # noqa: F811
    batch = next(iter(Batches(prepared, "train", 500).dataset()))
    rows = len(batch.labels)
    assert np.array_equal(batch.users, np.arange(rows))
    assert np.array_equal(batch.items, np.arange(rows))
    assert np.array_equal(batch.weights, np.ones(rows))
    assert np.isnan(batch.teacher).all()
    assert batch.lists.shape == (0, 0)
    assert float(batch.share) == 1


def test_an_assembly_gets_the_places_of_the_rows(prepared):  # noqa: F811
    def rows(numbered, unmasked=False):
        assembly = SimpleNamespace(takes_unmasked=unmasked) if numbered else None
        batches = Batches(prepared, "train", 500, shuffle=True, oov_rate=0.2, seed=3, assembly=assembly)
        return np.concatenate([integers for integers, _ in _epoch(batches)])

    plain, numbered = rows(False), rows(True)
    assert np.array_equal(plain, numbered[:, :-1]), "ids are masked alike"
    assert sorted(numbered[:, -1]) == list(range(prepared.rows("train")))
    stored = read_columns(prepared, "train", ["user_id"])["user_id"][numbered[:, -1]]
    kept = numbered[:, 0] > UNSEEN
    assert np.array_equal(numbered[kept, 0], stored[kept])
    both, width = rows(True, unmasked=True), plain.shape[1]
    assert np.array_equal(both[:, :width], plain)
    assert np.array_equal(both[:, width], read_columns(prepared, "train", ["user_id"])["user_id"][both[:, -1]])
    assert np.array_equal(both[:, -1], numbered[:, -1])


def test_columns_are_those_of_the_files(prepared):  # noqa: F811
    batch = next(iter(Batches(prepared, "validation", 10_000).dataset()))
    inputs, labels = batch.features, batch.labels
    table = pq.read_table(prepared.parts("validation")[0])
    assert np.array_equal(labels, table["label"].to_numpy())
    for field in prepared.spec.fields:
        stored, given = table[field.name], inputs[field.name].numpy()
        if field.kind == "dense":
            np.testing.assert_allclose(given, (stored.to_numpy() - field.mean) / field.scale, rtol=1e-5, atol=1e-6)
        elif field.kind == "sparse":
            assert np.array_equal(given, stored.to_numpy())
        else:
            lists = stored.to_pylist()
            assert given.shape == (len(lists), field.max_length)
            assert all(
                list(row) == ids + [MISSING] * (len(row) - len(ids)) for row, ids in zip(given, lists, strict=True)
            )


def test_masking_hits_ids_at_the_asked_rate_and_never_padding(prepared):  # noqa: F811
    plain = np.concatenate([rows[0] for rows in _epoch(Batches(prepared, "train", 500))])
    masked = np.concatenate([rows[0] for rows in _epoch(Batches(prepared, "train", 500, oov_rate=0.1))])
    assert np.array_equal(masked[plain == MISSING], plain[plain == MISSING])
    filled = plain > UNSEEN
    assert np.mean(masked[filled] == UNSEEN) == pytest.approx(0.1, abs=0.005)
    user_id = 0
    assert np.mean(masked[:, user_id] == MISSING) == pytest.approx(0.02, abs=0.006)


def test_iterating_again_is_the_next_epoch(prepared):  # noqa: F811
    dataset = Batches(prepared, "train", 256, shuffle=True).dataset(first_epoch=3)
    fourth, fifth = (next(iter(dataset)).features["user_id"].numpy() for _ in range(2))
    assert np.array_equal(fourth, _epoch(Batches(prepared, "train", 256, shuffle=True), 3)[0][0][:, 0])
    assert np.array_equal(fifth, _epoch(Batches(prepared, "train", 256, shuffle=True), 4)[0][0][:, 0])


def test_streaming_gives_what_memory_gives(prepared, monkeypatch):  # noqa: F811
    kept = _epoch(Batches(prepared, "train", 300, shuffle=True))
    monkeypatch.setattr(module, "_CACHE_BYTES", 0)
    streamed = _epoch(Batches(prepared, "train", 300, shuffle=True))
    assert all(np.array_equal(a, b) for x, y in zip(kept, streamed, strict=True) for a, b in zip(x, y, strict=True))


def test_columns_read_by_name(prepared):  # noqa: F811
    columns = Batches(prepared, "train", 300).columns(["user_id", "item_mean_rating"])
    stored = read_columns(prepared, "train", ["user_id", "item_mean_rating", "label"])
    field = prepared.spec["item_mean_rating"]
    assert set(columns) == {"user_id", "item_mean_rating", "label"}
    assert np.array_equal(columns["user_id"], stored["user_id"])
    np.testing.assert_allclose(
        columns["item_mean_rating"], (stored["item_mean_rating"] - field.mean) / field.scale, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("rows", [3, 7, 64])
def test_shares_hold_every_row_of_a_batch_once(rows):
    shares = [Share(range(0, 1), 3), Share(range(1, 3), 3)]
    bounds = [span for share in shares for span in share.bounds(rows)]
    assert [row for span in bounds for row in range(*span)] == list(range(rows))
    sizes = [stop - start for start, stop in bounds]
    assert max(sizes) - min(sizes) <= 1


def test_positions_are_those_of_a_shares_rows_in_the_part(prepared):  # noqa: F811
    batches = Batches(prepared, "validation", 100)
    labels = read_columns(prepared, "validation", ["label", "user_id"])
    seen = []
    for number in range(3):
        share = Share(range(number, number + 1), 3)
        given = [(batch.features["user_id"], batch.labels) for batch in batches.dataset(share=share)]
        users, found = (np.concatenate(parts) for parts in zip(*given, strict=True))
        seen.append(batches.positions(share))
        np.testing.assert_array_equal(users, labels["user_id"][seen[-1]])
        np.testing.assert_array_equal(found, labels["label"][seen[-1]])
    assert sorted(np.concatenate(seen)) == list(range(batches.rows))


class _InFiles:
    """A prepared data set whose training part lies in several files."""

    def __init__(self, data, folder, sizes):
        whole = pa.concat_tables([pq.read_table(path) for path in data.parts("train")])
        self.spec, self._files, start = data.spec, [], 0
        for number, size in enumerate(sizes):
            self._files.append(folder / f"part-{number:05}.parquet")
            pq.write_table(whole.slice(start, size), self._files[-1])
            start += size
        self.first = [int(n) for n in np.cumsum([0, *sizes[:-1]])]

    def parts(self, part):
        return self._files

    def rows(self, part):
        return sum(pq.read_metadata(path).num_rows for path in self._files)


def test_files_are_visited_in_another_order_each_epoch_if_shuffled_and_in_theirs_if_not(prepared, tmp_path):  # noqa: F811
    data = _InFiles(prepared, tmp_path, [30] * 8)
    rows = np.hstack(_epoch(Batches(data, "train", 240))[0])
    assert len(rows) == 240
    where = {row.tobytes(): place for place, row in enumerate(rows)}

    def order(epoch, **options):
        found = np.concatenate([np.hstack(batch) for batch in _epoch(Batches(data, "train", 50, **options), epoch)])
        return [where[row.tobytes()] for row in found]

    assert order(0) == order(3) == list(range(240))
    visits = []
    for epoch in range(6):
        places = order(epoch, shuffle=True, seed=2)
        assert sorted(places) == list(range(240))
        files = [place // 30 for place in places]
        assert all(len(set(files[start : start + 30])) == 1 for start in range(0, 240, 30)), "a file at a time"
        assert places[:30] != sorted(places[:30]), "and its rows in another order"
        visits.append(tuple(files[::30]))
    assert len(set(visits)) == 6
    assert tuple(range(8)) not in visits
