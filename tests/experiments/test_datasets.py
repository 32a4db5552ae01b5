"""The whole benchmark, from training to the report, on data sets other than MovieLens."""

import csv
import json

import pytest

from experiments.command_line import main
from preprocess.generate import amazon, taobao

_MODELS = "dssm,dcn_v2"
_REAL = [
    ("taobao", "taobao/raw-sample", ["sample_rate=0.2"], ", sample_rate=0.2"),
    ("amazon", "amazon/musical-instruments", ["category=musical_instruments"], ""),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(("dataset", "folder", "options", "title"), _REAL, ids=["taobao", "amazon"])
def test_real_extracts(here, real_data, dataset, folder, options, title):
    data = ["--dataset", dataset, "--data_path", str(real_data / folder)]
    _train(data, options)
    _measure_and_report(data)
    assert {row["setting"] for row in _leaderboard(here)} == {f"strict{title}", f"reference{title}"}


@pytest.mark.long
@pytest.mark.parametrize(("dataset", "generate"), [("taobao", taobao.generate), ("amazon", amazon.generate)])
def test_generated_data(here, dataset, generate):
    generate(here / "raw", rows=4_000)
    data = ["--dataset", dataset, "--data_path", "raw"]
    _train(data, [])
    main(["ablate", *data, "--presets", "baselines", "--protocols", "strict", "--jobs", "2"])
    main(["tune", *data, "--model_name", "dssm", "--trials", "2"])
    _measure_and_report(data)
    rows = _leaderboard(here)
    assert {row["setting"] for row in rows} == {"strict", "reference"}
    titles = {(row["model"], row["options"]) for row in rows}
    assert {("dssm", ""), ("dssm", "similarity=cosine"), ("poly_encoder", "similarity=dot")} <= titles
    assert len(list((here / "results" / "tuned").rglob("dssm.yaml"))) == 1


def _train(data, options):
    main(
        ["run", *data, "--models", _MODELS, "--protocols", "strict,reference", "--seeds", "0", "--jobs", "2", *options]
    )


def _measure_and_report(data):
    main(["measure", *data, "--users", "20"])
    main(["collect"])
    main(["report"])


def _leaderboard(here):
    """The rows of `leaderboard.csv`, after a look at what was trained and measured."""
    agreements = [json.loads(path.read_text()) for path in here.glob("results/runs/**/ranker_agreement.json")]
    assert agreements
    assert all(0 <= found["overlap@100"] <= 1 for found in agreements if found["overlap@100"] is not None)
    with (here / "results" / "leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(0 < float(row["auc_mean"]) < 1 for row in rows)
    assert "Agreement with a ranking model" in (here / "results" / "README.md").read_text()
    return rows
