"""What is measured of the files that were written."""

import dataclasses

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support_specs import SHOP

from preprocess.writing import of_equal_size, scaled


def measured(folder, *parts):
    """Mean and scale of a number whose values lie in some files."""
    files = []
    for number, values in enumerate(parts):
        files.append(folder / f"part-{number}.parquet")
        pq.write_table(pa.table({"reader_mean": pa.array(values, pa.float64())}), files[-1])
    spec = dataclasses.replace(
        SHOP, fields=tuple(field for field in SHOP.fields if field.name != "book_mean"), item_mean=None
    )
    field = scaled(spec, files)["reader_mean"]
    return field.mean, field.scale


def test_mean_and_population_deviation_over_all_files(tmp_path):
    mean, scale = measured(tmp_path, [1.0, 2.0], [6.0])
    assert mean == pytest.approx(3.0, abs=1e-15)
    assert scale == pytest.approx((14 / 3) ** 0.5, abs=1e-15)


@pytest.mark.parametrize("value", [0.1, -0.1, 1e-30, 1e30, 0.0, 978_300_760.3])
def test_a_constant_number_has_itself_as_its_mean_and_the_scale_1(value, tmp_path):
    """The sum of many tenths is no multiple of a tenth: a deviation of 1e-17 would be a scale."""
    assert measured(tmp_path, [value] * 997, [value] * 1003) == (value, 1.0)


def test_a_number_that_varies_in_its_last_digits_of_32_bits_is_no_constant(tmp_path):
    mean, scale = measured(tmp_path, [1.0, 1.0 + 1e-6])
    assert mean == pytest.approx(1 + 5e-7, abs=1e-12)
    assert scale == pytest.approx(5e-7, rel=1e-3)


@pytest.mark.parametrize("sizes", [[3], [1, 1, 1, 1, 1, 1, 1], [10, 1], [2, 3, 4], [0, 5, 0], []])
def test_batches_are_put_together_to_tables_of_one_size(sizes):
    numbers = iter(range(100))
    batches = [
        pa.record_batch({"n": [next(numbers) for _ in range(size)]}, pa.schema({"n": pa.int64()})) for size in sizes
    ]
    tables = [table["n"].to_pylist() for table in of_equal_size(batches, 3)]
    total = sum(sizes)
    assert tables == [list(range(start, min(start + 3, total))) for start in range(0, total, 3)]
