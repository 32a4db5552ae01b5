"""The command from finished runs to records and a page, on untrained models with saved weights."""

import json
from dataclasses import replace

import numpy as np
import pytest
from run_folders import write_untrained_run

import models
from experiments.cascade import judge as module
from experiments.cascade import page, records, stages, timing
from experiments.cascade.bench import Asked
from experiments.cascade.chosen import parse_all
from experiments.cascade.command import Stages, cascade
from experiments.cascade.entries import boards
from experiments.cascade.records import Record
from experiments.command_line import main
from experiments.defaults import ENDS
from experiments.plan import Planner
from experiments.runs import read_all
from experiments.scripts import script
from models.exposure_options import ExposureOptions
from prerank.errors import InputError
from prerank.order import best_first
from training.requests import Requests
from training.scoring import Scorer

_ASKED = Asked(pool=40, quotas=(20, 10), requests=15, part="test", ends=ENDS)


@pytest.fixture(scope="module")
def runs(prepared, tmp_path_factory):
    """Runs of untrained models of two seeds."""
    root = tmp_path_factory.mktemp("runs")
    for model, seeds in (("youtube_dnn", [0]), ("dssm", [0, 1]), ("dcn_v2", [0])):
        for seed in seeds:
            write_untrained_run(root, prepared, model, seed)
    return root


def _cascade(runs, sample_folder, out, asked=_ASKED, prerankers="dssm", said=None):
    planner = Planner(script("movielens"), sample_folder, runs, lambda _: None)
    chosen = Stages(
        parse_all(["youtube_dnn"], "--retrieval"),
        parse_all([prerankers], "--prerankers"),
        parse_all(["dcn_v2"], "--ranker"),
    )
    return cascade(read_all(runs), planner, chosen, asked, out, (said if said is not None else []).append)


@pytest.fixture(scope="module")
def judged(runs, sample_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return out, _cascade(runs, sample_folder, out)


def _named(found, name):
    return next(record for record in found if record.fields["preranker"]["name"] == name)


def test_a_record_for_each_run_and_end(judged):
    out, found = judged
    names = [record.fields["preranker"]["name"] for record in found]
    assert names == ["dssm", "dssm", *ENDS]
    assert [record.fields["preranker"]["seed"] for record in found[:2]] == [0, 1]
    assert {record.folder for record in found} == {record.folder for record in records.read_all(out)}
    everything = _named(found, "everything").fields
    assert everything["quotas"] == [everything["items"]]


def test_recall_is_that_of_a_plain_cascade(judged, runs, prepared):
    """Every stage by whole forward passes and sorting, request by request."""
    record = judged[1][0]
    requests = Requests.of(prepared, "test", 15)
    by_name = {}
    for name in ("youtube_dnn", "dssm", "dcn_v2"):
        by_name[name] = models.build(name, prepared.spec, seed=0)
    recalls = []
    for request, positives in enumerate(requests.positives):
        every = np.setdiff1d(np.arange(requests.item_count), requests.left_out[request])
        logits = {}
        for name, model in by_name.items():
            users = {k: np.repeat(v[request : request + 1], len(every), 0) for k, v in requests.users.items()}
            logits[name] = model({**users, **{k: v[every] for k, v in requests.items.items()}}, training=False).numpy()
        pool = sorted(range(len(every)), key=lambda item: -logits["youtube_dnn"][item])[:40]
        passed = sorted(pool, key=lambda item: -logits["dssm"][item])[:10]
        final = sorted(passed, key=lambda item: -logits["dcn_v2"][item])
        recalls.append(len(set(every[final]) & set(positives)) / len(positives) if len(positives) else np.nan)
    _, values = record.requests
    np.testing.assert_allclose(values["recall@10"][:, 1], recalls, rtol=1e-6)
    row = record.fields["values"][1]
    assert row["quota"] == 10
    assert row["metrics"]["recall@10"]["mean"] == pytest.approx(np.nanmean(recalls))
    assert row["metrics"]["recall@10"]["requests"] == np.isfinite(recalls).sum()


def test_ends_of_the_scale(judged):
    _, found = judged
    for quota in range(2):
        assert _named(found, "ranker").fields["values"][quota]["metrics"]["survival@10"]["mean"] == 1
    pools = {record.fields["preranker"]["name"]: record.requests[1]["pool_recall"] for record in found}
    np.testing.assert_array_equal(pools["random"], pools["popularity"])
    everything = _named(found, "everything").requests[1]
    assert (everything["pool_recall"][~np.isnan(everything["pool_recall"])] == 1).all()


def test_popularity_is_the_order_by_training_rows():
    counted = stages.Counted(np.array([3, 9, 9, 0]))
    assert best_first(counted.of([0], [np.array([0, 1, 2, 3])])[0], 3).tolist() == [1, 2, 0]
    chance = stages.Chance()
    (once,), (again,) = (chance.of([4], [np.arange(50)]) for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_what_is_there_is_not_judged_again(judged, runs, sample_folder, monkeypatch):
    out, found = judged
    before = {record.folder: (record.folder / records.JSON).stat().st_mtime_ns for record in found}
    monkeypatch.setattr(module, "Clock", None)  # judging anything would fail
    again = _cascade(runs, sample_folder, out)
    assert {record.folder: (record.folder / records.JSON).stat().st_mtime_ns for record in again} == before


def test_a_run_trained_anew_is_judged_again(runs, sample_folder, tmp_path):
    asked = replace(_ASKED, ends=("random",))
    _cascade(runs, sample_folder, tmp_path, asked)
    (file,) = runs.glob("*/*/dssm/seed1*/metrics.json")
    text = file.read_text()
    said = []
    try:
        file.write_text(text.replace('"seconds": 10.0', '"seconds": 11.0'))
        _cascade(runs, sample_folder, tmp_path, asked, said=said)
    finally:
        file.write_text(text)
    assert [line.split(":")[0] for line in said if line.startswith("judged")] == ["judged dssm, seed 1 before dcn_v2"]
    assert len(records.read_all(tmp_path)) == 3


def test_milliseconds_are_measured_of_what_scores(judged):
    times = {record.fields["preranker"]["name"]: record.fields["milliseconds"] for record in judged[1]}
    assert times["dssm"]["preranking"] > 0
    assert times["dssm"]["user_state"] > 0
    assert times["floor"]["preranking"] > 0
    assert times["retrieval"]["preranking"] == 0
    assert times["ranker"]["ranking"] == [times["ranker"]["ranking_pool"]] * 2
    assert len(times["everything"]["ranking"]) == 1


@pytest.mark.parametrize(("name", "entire_space"), [("dssm", False), ("dssm", True), ("fit", False), ("mvke", False)])
def test_the_timed_kernel_passes_on_the_models_best(prepared, name, entire_space):
    model = models.build(name, prepared.spec, seed=2, entire_space=ExposureOptions(entire_space=entire_space))
    requests = Requests.of(prepared, "test", 4)
    pools = [np.sort(np.random.default_rng(n).permutation(requests.item_count)[:60]) for n in range(4)]
    task = timing.kernel_task(model, requests, pools, 10)
    for request in range(4):
        (logits,) = Scorer(model, requests).of([request], [pools[request]])
        chosen = logits[task(request)]
        np.testing.assert_allclose(chosen, np.sort(logits)[::-1][:10], atol=1e-5)


def test_medians_alternate():
    done = []
    timing.medians({"a": lambda n: done.append(f"a{n}"), "b": lambda n: done.append(f"b{n}")}, requests=2, rounds=2)
    assert done == ["a0", "b0", *["a0", "b0", "a1", "b1"] * 2]


def test_the_page_has_every_entry_with_its_seeds(judged, tmp_path):
    out, found = judged
    (board,) = boards(found)
    assert board.entries[0].name == "dssm"
    seeds = [record.requests[1]["recall@50"] for record in found[:2]]
    np.testing.assert_allclose(board.entries[0].values("recall@50", 20), np.mean(seeds, axis=0)[:, 0])
    printed = "\n".join(page.show(found, out))
    text = (out / "cascade" / "README.md").read_text()
    for name in ("`dssm` | 2", "recent_popularity", "everything", "Kendall's τ"):
        assert name in printed
        assert name in text
    assert (out / "cascade" / "report.html").read_text().count("<img") == 2
    csv = (out / "cascade" / "cascade.csv").read_text().splitlines()
    assert len(csv) == 1 + 2 * (len(found) - 1) + 1
    first = (out / "cascade" / "README.md").read_bytes()
    page.write(out)
    assert (out / "cascade" / "README.md").read_bytes() == first


def test_damaged_records_are_told(judged, runs, sample_folder, tmp_path):
    asked = replace(_ASKED, ends=("random",))
    (record, *_) = _cascade(runs, sample_folder, tmp_path, asked)
    file = record.folder / records.JSON
    fields = json.loads(file.read_text())
    file.write_text(json.dumps({**fields, "pool": "many"}))
    with pytest.raises(InputError, match="cascade.json: damaged: pool"):
        records.read_all(tmp_path)
    file.write_text(json.dumps({**fields, "requests": 14}))
    with pytest.raises(InputError, match="a line for each of 14 requests and 2 quotas"):
        _ = Record.read(record.folder).requests
    (record.folder / records.PARQUET).write_bytes(b"PAR1")
    with pytest.raises(InputError, match="requests.parquet: damaged"):
        _ = Record.read(record.folder).requests


def test_a_stage_without_a_run_is_told(runs, sample_folder, tmp_path):
    with pytest.raises(InputError, match="--prerankers mind: no finished run"):
        _cascade(runs, sample_folder, tmp_path, prerankers="mind")
    assert not (tmp_path / "cascade").exists()


def test_the_retrieval_model_is_chosen_on_validation(runs, sample_folder, tmp_path, monkeypatch):
    from experiments.cascade import command

    asked = []

    def recall(data, part, **options):
        asked.append((part, options["cutoff"]))
        return lambda model: {"dssm": 0.6, "youtube_dnn": 0.4}[model.name.removesuffix("_model")]

    monkeypatch.setattr(command, "CascadeRecall", recall)
    monkeypatch.setattr(command.TrainedRun, "model", lambda self: type("Named", (), {"name": self.run.model})())
    mine = [run for run in read_all(runs) if run.model in ("dssm", "youtube_dnn")]
    planner = Planner(script("movielens"), sample_folder, runs, lambda _: None)
    by_name = [[run for run in mine if run.model == name] for name in ("youtube_dnn", "dssm")]
    best = command._best(by_name, planner, _ASKED, lambda _: None)
    assert {run.model for run in best} == {"dssm"}
    assert asked == [("validation", 40)]
    monkeypatch.setattr(command, "CascadeRecall", lambda *_, **__: lambda model: float("nan"))
    with pytest.raises(InputError, match="--retrieval: name one model"):
        command._best(by_name, planner, _ASKED, lambda _: None)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--quotas=50,x"], "--quotas: expected integers"),
        (["--quotas=2000"], "--quotas: expected integers of at most --pool"),
        (["--quotas=50,50"], "--quotas: expected different integers"),
        (["--ends=luck"], "--ends: choose of random"),
        (["--prerankers=dsm"], "--prerankers: "),
        (["--pool=0"], "--pool"),
    ],
)
def test_wrong_flags(flags, message):
    with pytest.raises(InputError, match=message):
        main(["cascade", "--dataset=movielens", "--retrieval=youtube_dnn", *flags])
