"""What a model may see of a data set whose privileged fields are called as columns beside the fields are."""

import numpy as np
import pytest
import yaml
from request_data import SCHEMA, rows

from experiments.cascade.stages import floor as floor_of_the_judge
from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from training.config import parse
from training.evaluation import floor
from training.trainer import train


@pytest.fixture(scope="module")
def prepared_with(tmp_path_factory):
    """The rows of requests with two privileged numbers, by their names."""

    def make(first, second):
        folder = tmp_path_factory.mktemp("named")
        fields = {name: field for name, field in SCHEMA["fields"].items() if name != "secret"}
        hidden = {name: {"side": "item", "kind": "dense"} for name in (first, second)}
        schema = SCHEMA | {"privileged": [first, second], "fields": fields | hidden}
        (folder / "schema.yaml").write_text(yaml.safe_dump(schema, sort_keys=False))
        table = rows().drop(columns="secret")
        table[first], table[second] = (table.what * step % 31 / 31 for step in (7, 12))
        table.to_parquet(folder / "rows.parquet")
        place = {"data_path": folder / "rows.parquet", "prepared_dir": folder / "out"}
        return prepare(NoSchema(), OwnDataOptions(schema=folder / "schema.yaml", min_count=1, **place), lambda _: None)

    return make("secret", "other"), make("weight", "timestamp")


@pytest.mark.parametrize("name", ["ease", "target_means", "gbdt"])
def test_no_model_reads_a_privileged_field_for_a_column(prepared_with, name, tmp_path):
    fitted = []
    for place, data in enumerate(prepared_with):
        flags = ["--model_name", name, "--output_dir", str(tmp_path / str(place))]
        flags += {"ease": ["--half_life", "0.01"], "gbdt": ["--trees", "5"], "target_means": []}[name]
        result = train(parse(flags, program="train.py", description="Train."), data, lambda _: None)
        fitted.append((result.model.get_weights(), result.metrics["test"]["logloss"]))
    assert {field.name for field in prepared_with[1].spec.fields} >= {"weight", "timestamp"}
    for first, second in zip(fitted[0][0], fitted[1][0], strict=True):
        np.testing.assert_array_equal(first, second)
    assert fitted[0][1] == fitted[1][1]


def test_nor_does_the_floor(prepared_with):
    assert floor(prepared_with[0]) == floor(prepared_with[1])
    weights = [floor_of_the_judge(data).get_weights() for data in prepared_with]
    for first, second in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)
