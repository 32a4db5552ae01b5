"""Options that need a time, on data without one."""

import numpy as np
import pandas as pd
import pytest
import yaml

from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from prerank.errors import InputError
from training.config import parse
from training.objective_setup import check

SCHEMA = {
    "dataset": "timeless",
    "user_id": "who",
    "item_id": "what",
    "label": "click",
    "fields": {"who": {"side": "user", "type": "int64"}, "what": {"side": "item", "type": "int64"}},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("timeless"), np.random.default_rng(0)
    columns = {"who": random.integers(0, 30, 400), "what": random.integers(0, 20, 400)}
    pd.DataFrame(columns | {"click": random.integers(0, 2, 400)}).to_parquet(folder / "rows.parquet")
    (folder / "schema.yaml").write_text(yaml.safe_dump(SCHEMA))
    options = OwnDataOptions(
        schema=folder / "schema.yaml",
        data_path=folder / "rows.parquet",
        prepared_dir=folder / "out",
        split="random",
        min_count=1,
    )
    return prepare(NoSchema(), options, lambda _: None)


def config(*argv):
    return parse(["--model_name", "dssm", *argv], program="train.py", description="Train.")


@pytest.mark.parametrize(
    ("argv", "flag"),
    [
        (["--candidates_per_row", "1", "--candidates_from", "popularity"], "--candidates_from popularity"),
        (["--entire_space", "--exposure_half_life", "5"], "--exposure_half_life"),
    ],
)
def test_what_needs_a_time_is_refused(data, argv, flag):
    with pytest.raises(InputError, match=f"^{flag}: the timeless data have no time"):
        check(config(*argv), data)


def test_what_needs_none_is_not(data):
    check(config("--candidates_per_row", "1", "--candidates_from", "batch"), data)
    check(config("--entire_space"), data)
