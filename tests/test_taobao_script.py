"""The Taobao script as a user runs it, on tiny files in the official layout."""

import json
import os
from pathlib import Path

import pytest
from support import random_batch
from taobao_files import make

import models
import train_taobao_whole_models as script
from preprocess.options import DataOptions
from preprocess.prepare import prepare
from preprocess.taobao import ADAPTER
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.errors import InputError
from prerank.preranker import PreRanker
from training.app import main

_SMALL = ["--hidden_units", "16,8", "--embedding_dim", "4", "--epoch", "1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make().write(tmp_path / "raw")
    return tmp_path


def test_from_raw_files_to_a_ranking(here, capsys):
    flags = [
        "--data_path",
        "raw",
        *_SMALL,
        "--model_name",
        "dssm",
        "--min_count",
        "2",
        "--hash_buckets",
        "20",
        "--export_dir",
        "out",
    ]
    assert main(script.SOURCE, flags) == 0
    assert "floor" not in capsys.readouterr().out
    metrics = json.loads((here / "out" / "metrics.json").read_text())
    assert metrics["dataset"] == "taobao"
    assert metrics["floor"] is None
    assert metrics["out_of_vocabulary"].keys() > {"pid", "price_missing"}
    assert metrics["test_unseen_users"]["rows"] > 0
    assert "dropout: 0.2" in (here / "out" / "config.yaml").read_text()
    build(Artefact(here / "out"), here / "out" / "catalogue.parquet", here / "out" / "index")
    profile = dict.fromkeys(script.taobao.PROFILE)
    user = {"userid": 3, **profile, "pid": "430548_1007", "hist_cate": [5, 6], "hist_brand": [5, -1]}
    best = PreRanker(here / "out").top(user, 5)
    assert len(set(best.ids.tolist())) == 5
    capsys.readouterr()
    assert main(script.SOURCE, [*flags[:2], *flags[10:-2], "--model_name", "target_means"]) == 2
    error = capsys.readouterr().err
    assert error == "error: --model_name target_means: data set 'taobao' has no mean label of user and item\n"


@pytest.mark.slow
def test_items_of_the_reference_protocol_need_a_place(here):
    flags = ["--data_path", "raw", "--model_name", "lr", "--epoch", "1", "--protocol", "reference"]
    assert main(script.SOURCE, [*flags, "--export_dir", "out"]) == 0
    model = Artefact(here / "out")
    with pytest.raises(InputError, match="'pid' is missing: .*only a request knows it.*--items"):
        build(model, here / "out" / "catalogue.parquet", here / "index")


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["strict", "reference"])
def test_every_model_takes_its_fields(here, protocol):
    spec = prepare(ADAPTER, DataOptions(data_path=here / "raw", protocol=protocol), lambda line: None).spec
    for name in set(models.names()) - {"ease", "target_means"}:
        model = models.build(name, spec)
        inputs, _ = random_batch(spec, 4)
        assert model(inputs).shape == (4,), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "flags"),
    [
        ("raw-sample", []),
        ("alimama-joined-sample", ["--split", "random"]),
        ("clicks-5core", ["--split", "random", "--negatives", "2", "--sample_rate", "0.1"]),
    ],
)
def test_real_extracts(here, folder, flags):
    real = Path(os.environ.get("PRERANK_DATA", Path(__file__).parents[1] / "../shared/data")).resolve() / "taobao"
    if not (real / folder).is_dir():
        pytest.skip(f"no real Taobao extract in {real / folder}: set PRERANK_DATA")
    assert main(script.SOURCE, ["--data_path", str(real / folder), *flags, *_SMALL, "--export_dir", "out"]) == 0
    assert json.loads((here / "out" / "metrics.json").read_text())["test"]["auc"] > 0
