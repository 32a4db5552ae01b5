"""Lists cut out of sequences on disk, against the same in plain Python; and files of equal size."""

import itertools

import ibis
import numpy as np
import pyarrow as pa
import pytest

from preprocess import writing
from preprocess.sequences import EVERYTHING, Sequences, laid_out

SIZES = {0: 3, 1: 0, 2: 8, 3: 1, 4: 5}


@pytest.fixture(scope="module")
def entries():
    random = np.random.default_rng(0)
    found = [
        {"_sequence_liked": number, "timestamp": 10 + place // 2, "row": 100 - place % 2, "item": 0, "kind": 0}
        for number, size in SIZES.items()
        for place in range(size)
    ]
    found.sort(key=lambda entry: (entry["_sequence_liked"], entry["timestamp"], entry["row"]))
    for value, entry in enumerate(found):
        entry |= {"item": value, "kind": -value}
    return found, [found[place] for place in random.permutation(len(found))]


@pytest.mark.parametrize("length", [1, 3, 50])
def test_each_row_gets_the_last_entries_before_its_end(engine, entries, tmp_path, length):
    in_order, shuffled = entries
    types = {"_sequence_liked": "int32", "item": "int32", "kind": "int32"}
    table = engine.save(ibis.memtable(shuffled).cast(types))
    sequences = Sequences("liked", table, ("timestamp", "row"), ("item", "kind"), length)
    # a sequence without entries may lie between others, or behind all of them
    rows = [(number, end) for number, size in [*SIZES.items(), (9, 0)] for end in [*range(size + 1), EVERYTHING]]
    with laid_out(engine, sequences, tmp_path / "liked") as store:
        found = store.lists(*(np.array(column, np.int32) for column in zip(*rows, strict=True)))
    assert not list(tmp_path.iterdir())
    for name in ("item", "kind"):
        assert found[name].type == pa.list_(pa.int32())
        of = {number: [entry[name] for entry in in_order if entry["_sequence_liked"] == number] for number in SIZES}
        assert found[name].to_pylist() == [of.get(number, [])[:end][-length:] for number, end in rows]


def test_without_an_entry_every_list_is_empty(engine, entries, tmp_path):
    table = engine.save(ibis.memtable(entries[1]).cast({"_sequence_liked": "int32", "item": "int32"}))
    sequences = Sequences("liked", table.filter(table.row < 0), ("timestamp", "row"), ("item",), 5)
    with laid_out(engine, sequences, tmp_path / "liked") as store:
        found = store.lists(np.array([0, 4], np.int32), np.array([0, 3], np.int32))
    assert found["item"].to_pylist() == [[], []]


def test_an_error_leaves_nothing_behind(engine, entries, tmp_path):
    table = engine.save(ibis.memtable(entries[1]).cast({"_sequence_liked": "int32", "item": "int32"}))
    sequences = Sequences("liked", table, ("timestamp", "row"), ("item",), 5)
    with pytest.raises(KeyError), laid_out(engine, sequences, tmp_path / "liked"):
        raise KeyError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sizes", [[], [3], [2, 0, 5, 4], [10, 1]])
def test_files_are_of_equal_size_whatever_the_batches(sizes):
    ends = list(itertools.accumulate(sizes, initial=0))
    batches = [pa.RecordBatch.from_pydict({"n": list(range(*span))}) for span in itertools.pairwise(ends)]
    tables = list(writing.of_equal_size(batches, 4))
    assert [number for table in tables for number in table["n"].to_pylist()] == list(range(ends[-1]))
    assert all(len(table) == 4 for table in tables[:-1])
    assert not tables or 1 <= len(tables[-1]) <= 4
