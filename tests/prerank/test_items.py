"""Catalogues in Parquet: a folder of files is read as training reads it, or refused; and rare types of values."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prerank.arrays import array, elements
from prerank.columns import column
from prerank.errors import InputError
from prerank.items import check_ids, columns, read_table
from prerank.values import WrongValueError, read

_LABEL = {"name": "label", "dtype": "string", "kind": "sparse"}
_WEIGHT = {"name": "weight", "dtype": "float32", "kind": "dense"}


def written(folder, **files):
    folder.mkdir()
    for name, table in files.items():
        pq.write_table(pa.table(table), folder / f"{name}.parquet")
    return folder


def test_a_partition_is_a_text_as_it_is_for_training(tmp_path):
    for value in ("007", "a%3Db", "__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / "items" / f"label={value}").mkdir(parents=True)
        pq.write_table(pa.table({"weight": [1.5]}), tmp_path / "items" / f"label={value}" / "part.parquet")
    (tmp_path / "items" / "_SUCCESS").touch()
    found = columns(read_table(tmp_path / "items"), [_LABEL], tmp_path)
    assert found[0].tolist() == ["007", "", "a=b"]  # files in the order of their paths


def test_a_file_in_a_folder_with_a_value_has_its_own_columns_only(tmp_path):
    folder = written(tmp_path / "label=5", items={"weight": [1.0]})
    with pytest.raises(InputError, match="column 'label' is missing"):
        columns(read_table(folder / "items.parquet"), [_LABEL], folder)


@pytest.mark.parametrize("first", [True, False])
def test_a_column_without_a_value_fits_any_type(tmp_path, first):
    full, empty = {"weight": pa.array([1.5, 2.0])}, {"weight": pa.nulls(1)}
    folder = written(tmp_path / "items", a=empty if first else full, b=full if first else empty)
    found = columns(read_table(folder), [_WEIGHT], folder)[0]
    assert found[~np.isnan(found)].tolist() == [1.5, 2.0]
    assert np.isnan(found[0 if first else 2])


def test_files_may_spell_a_column_differently(tmp_path):
    """Each is read by itself, as training reads it."""
    spelt = {
        "a": {"label": pa.array([7, -1]), "weight": pa.array([1, None], pa.int32())},
        "b": {"label": ["007", ""], "weight": [0.5, np.nan], "other": [1, 2]},
        "c": {"label": pa.array(["é", None]).dictionary_encode(), "weight": ["-1", "1e3"]},
        "d": {"label": pa.nulls(1), "weight": pa.array([Decimal("0.1")])},
    }
    folder = written(tmp_path / "items", **spelt)
    label, weight = columns(read_table(folder), [_LABEL, _WEIGHT], folder)
    assert label.tolist() == ["7", "-1", "007", "", "é", "", ""]
    np.testing.assert_array_equal(weight, np.float32([1, np.nan, 0.5, np.nan, np.nan, 1000, 0.1]))
    ids = {"name": "label", "dtype": "int64", "kind": "sparse"}
    whole = written(tmp_path / "whole", a={"label": [2**53 + 1]}, b={"label": [3.0, np.nan]}, c={"label": ["-7"]})
    assert columns(read_table(whole), [ids], whole)[0].tolist() == [2**53 + 1, 3, -1, -7]


def test_lists_of_several_types_and_lengths_in_a_folder(tmp_path):
    tags = {"name": "tags", "dtype": "string", "kind": "sequence", "separator": "|"}
    lists = {"a": [[1, 2, 3]], "b": [["x"], None], "c": ["y||z", ""]}
    folder = written(tmp_path / "items", **{name: {"tags": values} for name, values in lists.items()})
    found = columns(read_table(folder), [tags], folder)[0].tolist()
    assert found == [["1", "2", "3"], ["x", "", ""], ["", "", ""], ["y", "", "z"], ["", "", ""]]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"label": [7.5], "weight": [1.0]}, r"b\.parquet, row 1: label has to be a text\. Received: 7\.5 \(double\)"),
        ({"weight": [1.0]}, r"b\.parquet: column 'label' is missing"),
    ],
)
def test_the_file_that_is_wrong_is_named(tmp_path, other, message):
    folder = written(tmp_path / "items", a={"label": pa.array([7]), "weight": [1.0]}, b=other)
    with pytest.raises(InputError, match=message):
        columns(read_table(folder), [_LABEL], folder)


def test_the_row_without_an_id_is_that_of_its_file(tmp_path):
    folder = written(tmp_path / "items", a={"label": ["x", "y"]}, b={"label": ["z", None]})
    rows = read_table(folder)
    with pytest.raises(InputError, match=r"b\.parquet, row 2: label is missing"):
        check_ids(columns(rows, [_LABEL], folder)[0], "", "label", rows, folder)
    assert [rows.place(row).split("/")[-1] for row in range(4)] == [
        *("a.parquet, row 1", "a.parquet, row 2", "b.parquet, row 1", "b.parquet, row 2")
    ]
    assert [len(rows.head(count)) for count in range(6)] == [0, 1, 2, 3, 4, 4]


def test_a_folder_of_other_files_or_none(tmp_path):
    (tmp_path / "items").mkdir()
    with pytest.raises(InputError, match="holds no Parquet file"):
        read_table(tmp_path / "items")
    (tmp_path / "items" / "a.csv").write_text("label\n7\n")
    with pytest.raises(InputError, match="has to hold Parquet files only"):
        read_table(tmp_path / "items")


def test_a_name_that_occurs_twice_matters_where_it_is_asked_for(tmp_path):
    table = pa.Table.from_arrays([pa.array(["x"]), pa.array([1]), pa.array([2])], names=["label", "weight", "weight"])
    pq.write_table(table, tmp_path / "items.parquet")
    found = read_table(tmp_path / "items.parquet")
    assert columns(found, [_LABEL], tmp_path)[0].tolist() == ["x"]
    with pytest.raises(InputError, match="a column's name occurs twice: 'weight'"):
        columns(found, [_WEIGHT], tmp_path)


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
def test_a_masked_integer_is_missing(dtype):
    masked = np.ma.array([1, 2, 3], mask=[0, 1, 0], dtype=dtype)
    assert elements(masked, "int").tolist() == [1, -1, 3]
    with pytest.raises(WrongValueError, match="an integer expected"):
        array(masked, "int", required=True)


def test_floats_of_16_bits():
    assert column(pa.array(np.array([7, np.nan, 2048], np.float16)), "int").to_pylist() == [7, None, 2048]
    assert column(pa.array(np.array([np.nan], np.float16)), "text").to_pylist() == [None]
    for wrong in (7.5, 4096):  # from 2048 on two integers share a float
        with pytest.raises(WrongValueError, match="an integer expected"):
            column(pa.array(np.array([wrong], np.float16)), "int")


@pytest.mark.parametrize("kind", ["int", "number", "text", "seconds", "label"])
def test_numbers_that_python_does_not_have_are_refused_or_missing(kind):
    for value in (np.longdouble(1.5), Decimal("Infinity"), Decimal("-Infinity"), Decimal("1e999999999")):
        with pytest.raises(WrongValueError):
            read(value, kind)
    assert read(Decimal("sNaN"), kind) is None
    assert read(Decimal("NaN"), kind) is None


def test_decimal_times_have_the_unit_of_their_column():
    times = pa.array([Decimal(1_700_000_000_000), Decimal(-1), None], pa.decimal128(20, 0))
    assert column(times, "seconds", 1000).to_pylist() == [1_700_000_000, None, None]
    with pytest.raises(WrongValueError, match="does its unit fit"):
        column(times, "seconds")


def test_decimal_labels_keep_all_their_digits():
    tenths = [Decimal(number).scaleb(-1) for number in range(-5, 51)]
    assert column(pa.array(tenths, pa.decimal128(10, 1)), "label").to_pylist() == [n / 10 for n in range(-5, 51)]


def test_a_scalar_of_arrow_is_as_precise_as_its_type():
    for kind, whole in ((pa.float16(), 2048.0), (pa.float32(), 2.0**24), (pa.float64(), 2.0**53)):
        assert read(pa.scalar(whole, kind), "int") == int(whole)
        with pytest.raises(WrongValueError, match="an integer expected"):
            read(pa.scalar(2 * whole, kind), "int")  # its neighbour is another integer


@pytest.mark.parametrize("unit", ["D", "s", "ns"])
def test_no_time_is_missing_in_whatever_array(unit):
    for kind in ("datetime64", "timedelta64"):
        values = np.array(["NaT"], f"{kind}[{unit}]")
        for found in (values, list(values), np.array(list(values), object)):
            assert array(found, "int").tolist() == [-1]
            with pytest.raises(WrongValueError):
                array(found, "int", required=True)


def test_types_that_arrow_has_a_name_of_its_own_for():
    words = pa.ExtensionArray.from_storage(pa.json_(), pa.array(["7", None]))
    assert column(words, "int").to_pylist() == [7, None]
    assert column(words, "text").to_pylist() == ["7", None]
    flags = pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, None], pa.int8()))
    for found in (flags, pa.chunked_array([flags])):
        assert column(found, "text").to_pylist() == ["true", "false", None]
    assert [read(flag, "text") for flag in flags] == ["true", "false", None]
