"""Trees as arrays against scikit-learn, and against whatever may lie in their file."""

import dataclasses
import io
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from models.gbdt.array_file import read_arrays, write_arrays
from models.gbdt.scikit_learn_trees import trees_of
from models.gbdt.tree_scores import TreeScores
from models.gbdt.trees import OTHER, ROWS_AT_ONCE, Trees
from prerank.errors import InputError

# By name: which columns are categories, the share of missing values, and what else the classifier is told.
CASES = {
    "numbers": ([False] * 4, 0.0, {}),
    "numbers, some missing": ([False] * 4, 0.2, {}),
    "categories": ([True] * 3, 0.0, {}),
    "categories, some missing": ([True] * 3, 0.2, {}),
    "both": ([False, True, False, True, False], 0.0, {}),
    "both, some missing": ([True, False, True, False], 0.3, {"max_leaf_nodes": 7}),
    "chains": ([False, True], 0.1, {"max_leaf_nodes": 200, "min_samples_leaf": 1}),
    "stumps": ([True, False], 0.1, {"max_depth": 1}),
    "leaves only": ([True, False], 0.1, {"min_samples_leaf": 3000}),
}


def fitted(case, seed=0, rows=3000):
    """A classifier, its table, which columns are categories, and its trees."""
    categorical, missing, options = CASES[case]
    random = np.random.default_rng(seed)
    columns = [
        random.choice(random.permutation(255)[:60], rows) if is_category else random.normal(size=rows) * 10.0**number
        for number, is_category in enumerate(categorical)
    ]
    table = np.column_stack(columns).astype(np.float32)
    label = sum(np.sin(column * 3) for column in table.T) + random.normal(size=rows) > 0
    table[random.random(table.shape) < missing] = np.nan
    grown = HistGradientBoostingClassifier(
        max_iter=15, categorical_features=categorical, early_stopping=False, random_state=seed, **options
    )
    with threadpool_limits(1):
        grown.fit(table, label)
    return grown, table, categorical, trees_of(grown, categorical, table)


def unheard_of(table, categorical, trees, seed=1):
    """Rows of values that training lacked: thresholds and their neighbours, infinities, any category, missing ones."""
    random = np.random.default_rng(seed)
    edges = trees.threshold[np.isfinite(trees.threshold)]
    near = [edges, np.nextafter(edges, np.float32(np.inf)), np.nextafter(edges, np.float32(-np.inf))]
    extremes = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e-30, 3.4e38, -3.4e38], np.float32)
    numbers = np.concatenate([*near, extremes, table[:, ~np.array(categorical)].ravel()])
    categories = np.array([*range(255), np.nan, -1, 0.5, 17.25, 254.5, 255, 256, 1e6], np.float32)
    of_columns = [
        random.choice(categories if is_category else numbers, 4 * ROWS_AT_ONCE) for is_category in categorical
    ]
    return np.column_stack(of_columns)


@pytest.mark.parametrize("case", CASES)
def test_scores_are_scikit_learns(case):
    for seed in range(2):
        grown, table, categorical, trees = fitted(case, seed)
        for rows in (table, unheard_of(table, categorical, trees)):
            np.testing.assert_array_equal(trees.scores(rows), grown.decision_function(rows))
        assert trees.scores(table[:0]).shape == (0,)
        assert len(trees.split) == 0 or np.ptp(trees.scores(table)) > 0.1


@pytest.mark.parametrize("case", CASES)
def test_a_graph_scores_the_same(case):
    _, table, categorical, trees = fitted(case)
    scores = TreeScores(len(categorical))
    graph = tf.function(scores, input_signature=[tf.TensorSpec([None, len(categorical)], tf.float32)])
    assert not graph(table[:3]).numpy().any()
    scores.assign(trees)
    rows = unheard_of(table, categorical, trees)
    rows[np.abs(rows) < np.finfo(np.float32).tiny] = 0  # TensorFlow takes a denormal number for 0
    expected = trees.scores(rows)
    for count in (0, 1, 7, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, len(rows)):
        found = graph(rows[:count])
        assert found.dtype == tf.float64
        np.testing.assert_allclose(found, expected[:count], rtol=0, atol=1e-12)


def test_categories_have_to_be_small_whole_numbers():
    table = np.tile(np.array([[0.5], [3]], np.float32), (50, 1))
    grown = HistGradientBoostingClassifier(categorical_features=[True]).fit(table, table[:, 0] > 1)
    with pytest.raises(ValueError, match="whole numbers from 0 to 254"):
        trees_of(grown, [True], table)


def test_a_scikit_learn_that_scores_otherwise_is_noticed():
    grown, table, categorical, _ = fitted("both")
    grown._predictors[3][0].nodes["value"][-1] += 1
    trees_of(grown, categorical, table)  # both see it
    grown.decision_function = lambda rows: np.zeros(len(rows))
    with pytest.raises(RuntimeError, match="version"):
        trees_of(grown, categorical, table)


# The file


@pytest.fixture(scope="module")
def trees():
    return fitted("both, some missing")[-1]


def test_the_file_gives_the_same_trees(trees, tmp_path):
    trees.write(tmp_path / "best.npz")
    again = Trees.read(tmp_path / "best.npz", 4)
    for field in dataclasses.fields(Trees):
        one, other = getattr(trees, field.name), getattr(again, field.name)
        assert one.dtype == other.dtype, field.name
        np.testing.assert_array_equal(one, other)
    scores = TreeScores(4)
    scores.assign(again)
    scores.trees().write(tmp_path / "same.npz")
    assert (tmp_path / "same.npz").read_bytes() == (tmp_path / "best.npz").read_bytes()


def _changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


WRONG = [
    ("'columns' is 3, and the data have 4", lambda t: {"columns": np.array(3)}),
    ("as long as 'split'", lambda t: {"threshold": t.threshold[:-1]}),
    ("as long as 'split'", lambda t: {"column": np.append(t.column, t.column[:1])}),
    ("'sets' has to be of shape", lambda t: {"sets": t.sets[:, :-1]}),
    ("'sets' has to be of shape", lambda t: {"sets": t.sets[:-1]}),
    ("leave no tree", lambda t: {"value": t.value[: 2 * len(t.split)]}),
    ("leave no tree", lambda t: {"value": t.value[:0]}),
    ("have to be finite", lambda t: {"value": _changed(t.value, 5, np.nan)}),
    ("have to be finite", lambda t: {"baseline": np.array(np.inf)}),
    ("'threshold' has a NaN", lambda t: {"threshold": _changed(t.threshold, 5, np.nan)}),
    ("'column' names a column", lambda t: {"column": _changed(t.column, 2, 8 + len(t.sets))}),
    ("'column' names a column", lambda t: {"column": _changed(t.column, 2, -1)}),
    ("'set_column' names a column", lambda t: {"set_column": _changed(t.set_column, 0, 4)}),
    ("'split' names a node", lambda t: {"split": _changed(t.split, -1, len(t.value))}),
    ("'split' names a node", lambda t: {"split": _changed(t.split, 0, -1)}),
    ("'split' has to ascend", lambda t: {"split": t.split[::-1].copy()}),
    ("'split' has to ascend", lambda t: {"split": np.zeros_like(t.split)}),
    ("a node before its parent", lambda t: {"split": np.arange(-len(t.split), 0, dtype=np.int32) + len(t.value)}),
    ("int32 of 1 axes", lambda t: {"split": t.split.astype(np.int64)}),
    ("float32 of 1 axes", lambda t: {"threshold": t.threshold.reshape(-1, 1)}),
    ("float64 of 0 axes", lambda t: {"baseline": np.zeros(1)}),
    ("bool of 2 axes", lambda t: {"sets": np.asfortranarray(t.sets)}),
    ("float64 of 1 axes", lambda t: {"value": t.value.astype(">f8")}),
    ("expected the arrays", lambda t: {"more": np.zeros(1)}),
]


@pytest.mark.parametrize(("words", "change"), WRONG)
def test_arrays_that_are_no_trees(words, change, trees, tmp_path):
    arrays = {field.name: getattr(trees, field.name) for field in dataclasses.fields(Trees)}
    write_arrays(tmp_path / "best.npz", {**arrays, **change(trees)})
    assert words in _refusal(tmp_path / "best.npz")


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Trees)])
def test_a_missing_array(name, trees, tmp_path):
    arrays = {field.name: getattr(trees, field.name) for field in dataclasses.fields(Trees) if field.name != name}
    write_arrays(tmp_path / "best.npz", arrays)
    assert f"{name}" in _refusal(tmp_path / "best.npz")


def _refusal(path):
    """Why the trees are not read, one short line that names the file; empty if they are read and can be scored."""
    try:
        found = Trees.read(path, 4)
    except InputError as error:
        text = str(error)
        assert text.startswith(f"{path}: ")  # noqa: PT017
        assert "\n" not in text
        assert len(text) < len(str(path)) + 400
        return text
    assert np.isfinite(found.scores(np.zeros((2, 4)))).all()
    return ""


def _archive(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


def _array(shape="(3,)", descr="'<f8'", data=b"\0" * 24, header=None, version=b"\1\0"):
    header = header or f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode()
    header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data


DAMAGED = {
    "more numbers than bytes": _array(shape="(10**15,)".replace("10**15", "1" + "0" * 15)),
    "fewer numbers than bytes": _array(shape="(2,)"),
    "numbers below zero": _array(shape="(-3,)"),
    "negative twice": _array(shape="(-3, -1)"),
    "objects": _array(descr="'|O'"),
    "fields": _array(descr="[('a', '<f8')]"),
    "another version": _array(version=b"\3\0"),
    "no dictionary": _array(header=b"[1, 2]"),
    "no Python": _array(header=b"{'descr': '<f8', 'shape"),
    "a call": _array(header=b"__import__('os').abort()"),
    "deep": _array(header=b"(" * 9000),
    "deep and closed": _array(header=b"[" * 4000 + b"]" * 4000),
    "long": _array(header=b"{" + b" " * 60_000),
    "wrong key": _array(header=b"{1: 2}"),
    "no array": b"text",
    "empty": b"",
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_array(content, tmp_path):
    _archive(tmp_path / "a.npz", value=content)
    with pytest.raises(InputError, match=r"a\.npz: not a whole archive"):
        read_arrays(tmp_path / "a.npz", {"value": (np.float64, 1)})


def test_an_array_as_numpy_writes_it(tmp_path):
    _archive(tmp_path / "a.npz", value=_array())
    assert read_arrays(tmp_path / "a.npz", {"value": (np.float64, 1)})["value"].tolist() == [0, 0, 0]


def test_archives_that_numpy_does_not_write(tmp_path):
    kinds = {"value": (np.float64, 1)}
    path = tmp_path / "a.npz"
    np.savez_compressed(path, value=np.zeros(1_000_000), allow_pickle=False)
    with pytest.raises(InputError, match="not compressed"):
        read_arrays(path, kinds)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("value.npy", _array())
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("value.npy", _array())
    with pytest.raises(InputError, match=r"value\.npy, value\.npy"):
        read_arrays(path, kinds)
    with pytest.raises(InputError, match="no such file"):
        read_arrays(tmp_path / "absent.npz", kinds)
    with pytest.raises(InputError, match="no such file"):
        read_arrays(tmp_path, kinds)


def test_objects_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        write_arrays(tmp_path / "a.npz", {"value": np.array([object()])})


def test_any_damage_is_noticed_or_harmless(trees, tmp_path):
    """Bits flipped and ends cut off at random: one line, or the same trees, or other trees that can be scored."""
    path = tmp_path / "best.npz"
    trees.write(path)
    whole = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        headers = [member.header_offset + place for member in archive.infolist() for place in range(200)]
    random = np.random.default_rng(0)
    places = [*random.choice(headers, 250), *random.integers(len(whole) - 800, len(whole), 250)]
    refused = 0
    for number, place in enumerate([*places, *random.integers(0, len(whole), 100)]):
        damaged = bytearray(whole)
        if number % 5:
            damaged[place] ^= 1 << random.integers(8)
        else:
            del damaged[place:]
        path.write_bytes(damaged)
        refused += _refusal(path) != ""
    assert refused > 300


def test_random_arrays_are_refused_or_can_be_scored(tmp_path):
    """No circle, no index out of range, whatever integers the file holds."""
    random = np.random.default_rng(0)
    scored = 0
    for _ in range(300):
        splits, sets = random.integers(0, 5, 2)
        parents = np.sort(random.integers(-1, 10, splits)).astype(np.int32)
        arrays = {
            "columns": np.array(4),
            "baseline": np.array(0.5),
            "value": random.normal(size=random.integers(0, 12)),
            "split": parents,
            "column": random.integers(-1, 9 + sets, splits).astype(np.int32),
            "threshold": random.normal(size=splits).astype(np.float32),
            "set_column": random.integers(0, 4, sets).astype(np.int32),
            "sets": random.random((sets, OTHER + 1)) < 0.5,
        }
        write_arrays(tmp_path / "best.npz", arrays)
        if _refusal(tmp_path / "best.npz"):
            continue
        scored += 1
        found = Trees.read(tmp_path / "best.npz", 4)
        nodes = [node for level in found.levels for node in range(level.nodes.start, level.nodes.stop)]
        assert nodes == list(range(len(found.value)))
    assert scored > 20
