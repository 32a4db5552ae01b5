"""Fields that are called as the columns beside them: what is recorded of the test part is of the columns."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from experiments.trained import _saved
from preprocess.own_data import NoSchema, OwnDataOptions
from preprocess.prepare import prepare
from prerank.errors import InputError
from training.config import parse
from training.trainer import train

ROWS = 600


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beside")
    random = np.random.default_rng(0)
    pd.DataFrame(
        {
            # 40 users, of whom the last third of the rows has 20 new ones
            "group": np.where(np.arange(ROWS) < 400, random.integers(0, 40, ROWS), random.integers(20, 60, ROWS)),
            "item_group": random.integers(0, 30, ROWS),
            "row": random.integers(0, 5, ROWS),
            "label": random.integers(0, 2, ROWS),
            "timestamp": np.arange(ROWS),
        }
    ).to_parquet(folder / "rows.parquet")
    fields = {"group": {"side": "user", "type": "int64"}, "item_group": {"side": "item", "type": "int64"}}
    fields |= {"row": {"side": "user", "type": "int64"}, "timestamp": {"side": "user", "kind": "dense"}}
    schema = {"dataset": "beside", "user_id": "group", "item_id": "item_group", "label": "label", "time": "timestamp"}
    schema |= {"context": ["row", "timestamp"], "fields": fields}
    (folder / "schema.yaml").write_text(yaml.safe_dump(schema))
    return folder


@pytest.mark.parametrize("hash_buckets", [0, 8])
def test_the_users_and_rows_of_predictions_are_those_of_the_raw_file(raw, tmp_path, hash_buckets):
    options = OwnDataOptions(
        schema=raw / "schema.yaml",
        data_path=raw / "rows.parquet",
        prepared_dir=tmp_path / "prepared",
        hash_buckets=hash_buckets,
    )
    data = prepare(NoSchema(), options, lambda _: None)
    flags = ["--model_name", "lr", "--epoch", "1", "--save_predictions", "--output_dir", str(tmp_path / "runs")]
    result = train(parse(flags, program="x", description="x"), data, lambda _: None)
    saved = pq.read_table(result.folder / "predictions.parquet").to_pandas()
    given = pd.read_parquet(raw / "rows.parquet")
    test = given.iloc[-ROWS // 10 :]
    assert saved["row"].tolist() == test.index.tolist()
    assert pd.factorize(saved["group"])[0].tolist() == pd.factorize(test["group"])[0].tolist()
    unseen = ~test["group"].isin(given.iloc[: ROWS * 8 // 10]["group"])
    assert result.metrics["test_unseen_users"]["rows"] == unseen.sum()
    assert len(_saved(result.folder / "predictions.parquet", data)) == len(test)
    pq.write_table(pq.read_table(result.folder / "predictions.parquet").slice(1), tmp_path / "cut.parquet")
    with pytest.raises(InputError, match="not of the test part's rows"):
        _saved(tmp_path / "cut.parquet", data)
