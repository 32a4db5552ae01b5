"""The report on made-up runs: every number is recomputed here, from the values that the runs were given."""

import csv
import json
import re
import shutil
import statistics

import numpy as np
import pytest
from run_folders import write_run
from scipy import stats

from experiments.collect import collect
from experiments.report.build import build, read_latencies
from experiments.report.entries import boards
from experiments.report.facts import Facts
from experiments.report.insert import insert, inserted
from experiments.runs import Run, read_all
from prerank.errors import InputError
from training.metrics import rela_impr

_HIT, _DSSM = [0.905, 0.903, 0.906], [0.900, 0.899, 0.9035]
_LEAKS = ["target_mean", "history", "user_filter", "encoders", "scaler"]


@pytest.fixture
def root(tmp_path):
    runs = tmp_path / "runs"
    for seed in range(3):
        write_run(runs, "hit", seed, _HIT[seed], overlap=0.5 + seed / 10)
        write_run(runs, "dssm", seed, _DSSM[seed])
    write_run(runs, "cold", 0, 0.95)
    write_run(runs, "cold", 1, 0, status="diverged")
    write_run(runs, "fit", 0, 0, status="failed")
    write_run(runs, "hit", 0, 0.91, options={"user_heads": "1", "item_heads": "1"})
    write_run(runs, "hit", 0, 0.89, options={"generation_loss": "none"})
    for model, auc in (("hit", 0.95), ("dssm", 0.94)):
        write_run(runs, model, 0, auc, protocol="reference", measured=False)
    write_run(runs, "dssm", 0, 0.87, protocol="reference", options={"similarity": "cosine"})
    write_run(runs, "hit", 0, 0.92, protocol="reference", leaks=_LEAKS[1:])
    write_run(runs, "hit", 0, 0.88, protocol="reference", leaks=[])
    return runs


@pytest.fixture
def out(root, tmp_path):
    build(boards(read_all(root)), tmp_path / "results")
    return tmp_path / "results"


def rows_of(text, title):
    """Rows of the Markdown table below a bold title, by the first cells."""
    block = text.split(f"**{title}")[1].split("\n\n")[1]
    header, _, *lines = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in block.splitlines()]
    return [dict(zip(header, line, strict=True)) for line in lines]


def test_leaderboard_is_what_the_runs_say(out):
    rows = {row["model"]: row for row in rows_of((out / "README.md").read_text(), "`strict`: 1,000 train")}
    assert list(rows) == ["`cold`", "`hit`", "`dssm`", "`fit`"]
    hit, dssm = rows["`hit`"], rows["`dssm`"]
    assert hit["AUC"] == f"{np.mean(_HIT):.4f} ± {np.std(_HIT, ddof=1):.4f}"
    gains = [rela_impr(mine, base) for mine, base in zip(_HIT, _DSSM, strict=True)]
    assert hit["RelaImpr, %"] == f"{statistics.mean(gains):.2f} ± {statistics.stdev(gains):.2f}"
    difference = np.mean(_HIT) - np.mean(_DSSM)
    p = stats.ttest_rel(_HIT, _DSSM).pvalue
    # The runs' bootstrap samples differ by the runs' AUC alone, so the interval is a point.
    expected = f"{difference:+.4f} [{difference:+.4f}, {difference:+.4f}], p {p:.3f}"
    assert hit["AUC less the best baseline's"] == expected
    assert dssm["AUC less the best baseline's"].startswith(f"{-difference:+.4f}")
    assert rows["`cold`"]["seeds"] == "1 (1 diverged)"
    assert rows["`cold`"]["AUC less the best baseline's"] == "+0.0450 [+0.0450, +0.0450]"  # of one seed: no p
    assert rows["`cold`"]["decoupled"] == "no"
    assert rows["`fit`"]["seeds"] == "0 (1 failed)"
    assert hit["published"] == "0.9048 / 0.3026 (HIT)"


def test_what_went_wrong_is_shown(out):
    rows = rows_of((out / "README.md").read_text(), "Runs that diverged or failed")
    shown = {row["model"]: (row["status"], row["last line"]) for row in rows}
    assert shown["`fit`"] == ("failed", "`MemoryError: too / much`")
    assert shown["`cold`"] == ("diverged", "`the loss is not finite`")


def test_one_seed_is_said_to_be_one(out):
    text = (out / "README.md").read_text()
    below = text.split("**`reference`: 1,000 train")[1].split("\n**")[0]
    assert "One seed, so no standard deviation and no t-test." in below
    assert "not measured" in below
    assert "One seed" not in text.split("**`strict`: 1,000 train")[1].split("\n**")[0]


def test_changes_are_beside_their_defaults(out):
    text = (out / "README.md").read_text()
    (row,) = rows_of(text, "`reference` with one leak switched off")
    assert (row["`reference`"], row["without `target_mean`"], row["without all leaks"]) == (
        "0.9500",
        "0.9200",
        "0.8800",
    )
    options = rows_of(text.split("### Options")[1], "`strict`")
    assert [row["options"] for row in options] == ["defaults", "`generation_loss=none`", "`item_heads=1 user_heads=1`"]
    assert options[1]["AUC less the default's"].startswith(f"{0.89 - _HIT[0]:+.4f}")  # on the seed that both have
    heads = rows_of(text, "Heads of `hit`")
    assert [(row["heads a side"], row["AUC, `strict`"], row["published (HIT)"]) for row in heads] == [
        ("1", "0.9100", "0.8984"),
        ("2", f"{np.mean(_HIT):.4f} ± {np.std(_HIT, ddof=1):.4f}", "0.9012"),
    ]


def test_agreement_is_the_mean_over_the_seeds(out):
    (row,) = rows_of((out / "README.md").read_text().split("### Agreement")[1], "`strict`")
    assert (row["model"], row["overlap, top 10"], row["recall, top 100"]) == ("`hit`", "0.600", "0.600")


def test_unseen_items_are_shown_where_they_were_measured(out, tmp_path):
    assert "unseen, top" not in (out / "README.md").read_text()
    for seed, unseen in enumerate((0.2, 0.4, None)):
        write_run(tmp_path / "new", "hit", seed, 0.88, overlap=0.6, unseen=unseen)
    write_run(tmp_path / "new", "fit", 0, 0.88, overlap=0.5)
    build(boards(read_all(tmp_path / "new")), tmp_path / "shown")
    text = (tmp_path / "shown" / "README.md").read_text().split("### Agreement")[1]
    assert "Unseen is the share" in text
    shares = {row["model"]: row["unseen, top 50"] for row in rows_of(text, "`strict`")}
    assert shares == {"`hit`": "0.300", "`fit`": "–"}


def test_csv_files_hold_every_run_and_entry(out):
    runs = list(csv.DictReader((out / "runs.csv").open()))
    assert len(runs) == 16
    assert {float(row["auc"]) for row in runs if row["model"] == "dssm" and row["setting"] == "strict"} == set(_DSSM)
    board = list(csv.DictReader((out / "leaderboard.csv").open()))
    (hit,) = [row for row in board if (row["setting"], row["model"], row["options"]) == ("strict", "hit", "")]
    assert float(hit["auc_mean"]) == pytest.approx(np.mean(_HIT), abs=1e-6)
    assert float(hit["p"]) == pytest.approx(stats.ttest_rel(_HIT, _DSSM).pvalue, rel=1e-5)
    assert hit["compared_with"] == "dssm"
    (fit,) = [row for row in board if row["model"] == "fit"]
    assert fit["auc_mean"] == ""


def test_the_same_runs_give_the_same_bytes_and_figures(root, out, tmp_path):
    build(boards(read_all(root)), tmp_path / "again")
    files = {path.relative_to(out) for path in out.rglob("*") if path.is_file()}
    assert {path.name for path in files} == {
        "README.md", "report.html", "leaderboard.csv", "runs.csv", "movielens-protocols.png",
        "movielens-published.png", "movielens-heads.png", "movielens-leaks.png",
    }  # fmt: skip
    for path in files:
        assert (out / path).read_bytes() == (tmp_path / "again" / path).read_bytes(), path


def test_collected_runs_give_the_same_report_and_name_no_machine(root, out, tmp_path):
    kept = tmp_path / "kept"
    collect(read_all(root), kept)
    build(boards(read_all(kept)), tmp_path / "again")
    assert (tmp_path / "again" / "README.md").read_text() == (out / "README.md").read_text()
    for path in kept.rglob("*"):
        assert path.is_dir() or "/secret/place" not in path.read_text()
    assert {path.name for path in kept.rglob("*") if path.is_file()} == {
        "config.yaml", "metrics.json", "history.csv", "bootstrap.csv", "ranker_agreement.json",
    }  # fmt: skip
    failed = next(kept.glob("movielens/strict/fit/*.failed"))
    shutil.rmtree(root / failed.relative_to(kept))
    write_run(root, "fit", 0, 0.9)
    collect(read_all(root), kept)
    assert not failed.exists()


def test_a_claim_holds_only_with_several_seeds_and_a_test(root, tmp_path):
    for seed, auc in enumerate((0.8801, 0.8803, 0.8799)):
        write_run(root, "dat", seed, auc)
    facts = Facts(boards(read_all(root)))
    rows = {row["claim"]: row for row in rows_of(facts.claims("movielens"), "Published gains")}
    verdict = {claim: row["claim under `strict`"] for claim, row in rows.items()}
    assert verdict["`hit` over `dat`"] == "holds"
    assert verdict["`hit` over `dssm`"] == "holds" if stats.ttest_rel(_HIT, _DSSM).pvalue < 0.05 else "is not shown"
    assert verdict["`hit` over `cold`"] == "is open"  # one seed of it
    assert verdict["`hit` over `mvke`"] == "–"
    assert rows["`hit` over `dat`"]["published gain in AUC"] == "+0.0336"
    counts = dict(part.rsplit(" ", 1) for part in facts.verdicts("movielens", "strict").split(", "))
    column = [row["claim under `strict`"] for row in rows.values()]
    assert counts == {f"*{name}*" if name != "–" else "*–*": str(column.count(name)) for name in column}


def test_the_page_of_claims_is_filled_from_runs(root):
    facts = Facts(boards(read_all(root)))
    page = facts.fill("reproducibility.md.j2")
    assert facts.auc("dssm", "reference", similarity="cosine") == "0.8700"
    assert facts.result("dssm", "reference", similarity="cosine") == "0.8700 / 0.3000"
    assert facts.value("auc", "dssm", "reference", "validation", similarity="cosine") == "0.8800"
    assert facts.gap("auc", "hit", "dssm", "strict") == f"{statistics.fmean(_HIT) - statistics.fmean(_DSSM):+.4f}"
    assert facts.gap("auc", "hit", "nothing", "strict") == "–"
    assert facts.fall("dssm") == "-0.010"
    assert facts.seeds("movielens", "hit").splitlines()[2].startswith("| `strict` | `hit` | 3 | ")
    assert "held back has 0.8700 under `reference`" in page.replace("\n  ", " ")
    assert "{{" not in page
    assert Facts([]).auc("dssm", "strict") == "–"
    assert "*Not run yet.*" in Facts([]).fill("reproducibility.md.j2")


def test_a_category_is_named_by_the_data_set_alone(root):
    run = read_all(root)[0]
    metrics = {**run.metrics, "dataset": "amazon_musical_instruments", "protocol": "strict", "leaks": []}
    metrics |= {"split": "time", "state": "online"}
    config = {**run.config, "category": "musical_instruments"}
    assert Run(run.folder, config, metrics).setting.title == "strict"
    assert Run(run.folder, {**config, "min_count": 5}, metrics).setting.title == "strict, min_count=5"
    generated = {**metrics, "dataset": "amazon_musical_instruments_generated"}
    assert Run(run.folder, config, generated).setting.title == "strict"
    other = Run(run.folder, config, {**metrics, "dataset": "amazon_books"}).setting
    assert other.title.endswith("=musical_instruments")


def test_latencies_are_joined_by_data_set_and_model(root, tmp_path):
    out = tmp_path / "results"
    out.mkdir()
    lines = ["dataset,model,part,items,p50_ms", "movielens,hit,top 100,10000,1.25", "movielens,hit,scorer,10000,9"]
    (out / "serving_latency.csv").write_text("\n".join([*lines, "taobao,dssm,top 100,10000,7"]))
    assert read_latencies(out / "serving_latency.csv") == {
        ("movielens", ""): {"hit": 1.25},
        ("taobao", ""): {"dssm": 7.0},
    }
    build(boards(read_all(root)), out)
    rows = rows_of((out / "README.md").read_text(), "`strict`: 1,000 train")
    assert [row["latency, ms"] for row in rows if row["model"] in ("`hit`", "`dssm`")] == ["1.25", "–"]
    assert (out / "figures" / "movielens-latency.png").exists()
    (out / "serving_latency.csv").write_text("model,part\n")
    with pytest.raises(InputError, match="no column dataset, items, p50_ms"):
        build(boards(read_all(root)), out)


def test_damaged_runs_are_named(root, tmp_path):
    file = next(root.glob("movielens/strict/hit/*/metrics.json"))
    file.write_text("{")
    with pytest.raises(InputError, match=re.escape(str(file.parent))):
        read_all(root)
    with pytest.raises(InputError, match="there is no run"):
        build([], tmp_path)


def test_marked_places_of_a_page_are_filled(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- t -->\nold\n<!-- end of t -->\nb\n")
    filled = inserted(page, {"t": r"\1 new"})
    assert filled == "a\n<!-- t -->\n\\1 new\n<!-- end of t -->\nb\n"
    assert insert(filled, "t", r"\1 new") == filled
    with pytest.raises(InputError, match="<!-- u -->"):
        inserted(page, {"t": "", "u": ""})
    with pytest.raises(InputError, match="cannot be filled in"):
        inserted(tmp_path / "nowhere.md", {"t": ""})


def test_runs_of_other_data_are_not_mixed(root):
    folder = next(root.glob("movielens/strict/dssm/seed0-*"))
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps({**metrics, "data_fingerprint": "other"}))
    found = [board for board in boards(read_all(root)) if board.setting.title == "strict"]
    assert sorted(len(board.entry("dssm").runs) for board in found) == [1, 2]
