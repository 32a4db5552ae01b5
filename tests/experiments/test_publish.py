"""Publishing in a small repository of made-up runs: what it writes, what it refuses, and which data it shows."""

import csv
import shutil
from pathlib import Path

import pytest
from judged import write_record
from run_folders import write_run

from experiments.command_line import main
from experiments.report import files
from experiments.report.dropped import summary
from prerank.errors import InputError

ROOT = Path(__file__).parents[2]
_README = "# A title\n<!-- findings -->\n<!-- end of findings -->\n\n<!-- models -->\n<!-- end of models -->\n"
_MODELS = "# A title\n<!-- models -->\n<!-- end of models -->\n\n<!-- results -->\n<!-- end of results -->\n"
_RAW, _OTHER = "f" * 16, "0" * 16  # the other comes first in the order of hashes
_LATENCIES = (
    f"dataset,raw_data,model,part,items,p50_ms\nmovielens,{_RAW},hit,top 100,10000,1.25\n"
    f"movielens,{_RAW},dssm,top 100,10000,0.75\n"
)
_PAGES = ("README.md", "docs/models.md", "docs/movielens.md", "docs/reproducibility.md")
_AUCS = {"hit": 0.91, "dssm": 0.9}


def _write_runs(runs, *, shift=0.0, protocols=("strict", "reference"), models=("hit", "dssm"), **options):
    for protocol in protocols:
        for model in models:
            for seed in range(2):
                auc = _AUCS[model] + shift + seed / 1000 + (0.02 if protocol == "reference" else 0)
                write_run(runs, model, seed, auc, protocol=protocol, overlap=0.5, **options)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Two models under both protocols on one data, published."""
    folder = tmp_path_factory.mktemp("published") / "repository"
    _write_runs(folder / "results" / "runs", raw_data=_RAW, data="f")
    write_run(folder / "results" / "runs", "hit", 0, 0.88, options={"user_heads": "1", "item_heads": "1"}, data="f",
              raw_data=_RAW)  # fmt: skip
    (folder / "README.md").write_text(_README)
    (folder / "docs").mkdir()
    (folder / "docs" / "models.md").write_text(_MODELS)
    for name in ("csv", "md", "png"):
        (folder / "results" / f"serving_latency.{name}").write_text(_LATENCIES)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(["report", "--publish"])
    shutil.rmtree(folder / "results")
    return folder


@pytest.fixture
def here(repository, tmp_path, monkeypatch):
    """A copy of that repository, as the current folder."""
    shutil.copytree(repository, tmp_path / "repository")
    monkeypatch.chdir(tmp_path / "repository")
    return tmp_path / "repository"


def _rows(results, **wanted):
    with (results / "leaderboard.csv").open() as file:
        return [row for row in csv.DictReader(file) if wanted.items() <= row.items()]


def test_all_that_shows_results_is_written_from_the_committed_runs(here):
    written = {str(path) for path in files.contents(here) if path.parts[:3] != ("docs", "results", "runs")}
    figures = {f"docs/results/figures/movielens-{kind}.png" for kind in ("heads", "latency", "protocols", "published")}
    assert written == figures | {
        "README.md", "docs/models.md", "docs/reproducibility.md", "docs/movielens.md", "docs/defaults.md",
        "docs/results/README.md", "docs/results/report.html", "docs/results/leaderboard.csv", "docs/results/runs.csv",
        "docs/results/pages.csv",
        "docs/results/serving_latency.csv", "docs/results/serving_latency.md", "docs/results/serving_latency.png",
    }  # fmt: skip
    assert len(list(here.glob("docs/results/runs/movielens/*/*/*/metrics.json"))) == 9
    readme = (here / "README.md").read_text()
    assert "| `hit` |" in readme
    assert "| 0.9105 ± 0.0007 |" in readme
    assert "`hit` less `dssm` is +0.0100 AUC under the published" in readme
    models = (here / "docs" / "models.md").read_text()
    assert "0.9105 ± 0.0007 / " in models
    assert f"`{_RAW}`" in models
    assert [row["latency_ms"] for row in _rows(here / "docs/results", setting="strict")] == ["1.25", "0.75", ""]


@pytest.mark.parametrize("flags", [[], ["--out", "docs/results"]])
def test_publishing_again_changes_nothing(here, flags):
    before = files.contents(here)
    times = {path: path.stat().st_mtime_ns for path in here.rglob("*") if path.is_file()}
    main(["report", "--publish", *flags])
    assert files.contents(here) == before
    assert {path: path.stat().st_mtime_ns for path in here.rglob("*") if path.is_file()} == times


def test_more_runs_are_added_and_generated_ones_are_not(here, capsys):
    write_run(here / "runs", "cold", 0, 0.92, data="f", raw_data=_RAW)
    write_run(here / "runs", "hit", 0, 0.6, dataset="movielens_generated", data="g", raw_data="1" * 16)
    before = files.contents(here / "docs")
    main(["collect"])
    main(["report"])
    assert files.contents(here / "docs") == before
    assert "`movielens_generated`" in (here / "results" / "README.md").read_text()
    main(["report", "--publish"])
    assert "left out, as on generated data: 1 runs" in capsys.readouterr().out
    assert {row["dataset"] for row in _rows(here / "docs/results")} == {"movielens"}
    assert len(_rows(here / "docs/results", model="cold", setting="strict")) == 1
    assert len(_rows(here / "docs/results")) == 6
    assert not (here / "docs/results/runs/movielens_generated").exists()


def test_latencies_of_generated_data_are_not_published(here):
    (here / "results").mkdir()
    (here / "results/serving_latency.csv").write_text(_LATENCIES.replace("movielens", "movielens_generated"))
    before = files.contents(here / "docs")
    main(["report", "--publish"])
    assert files.contents(here / "docs") == before


_LOSSES = {
    "a model": ("runs/movielens/strict/hit", ["movielens, strict, f-strict-0: hit", "item_heads=1"]),
    "a setting": ("runs/movielens/reference", ["movielens, reference, f-reference-5: all of", "hit", "dssm"]),
    "a seed": ("runs/movielens/strict/dssm/seed1-*", ["movielens, strict, f-strict-0: a seed", "dssm"]),
    "intervals": ("runs/movielens/strict/dssm/*/bootstrap.csv", ["auc_difference_low", "hit", "dssm"]),
    "agreement": ("runs/movielens/strict/dssm/*/ranker_agreement.json", ["agreement_overlap@10", "dssm"]),
    "latencies": ("serving_latency.csv", ["latency_ms of hit, dssm", "the figure movielens-latency"]),
    "a data set": ("runs/movielens", ["docs/results: ", "no run to report on"]),
    "the record": ("leaderboard.csv", ["everything", "leaderboard.csv"]),
}


@pytest.mark.parametrize("pattern", _LOSSES)
def test_nothing_published_is_lost_unless_told(here, pattern):
    place, words = _LOSSES[pattern]
    for path in here.glob(f"docs/results/{place}"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = files.contents(here)
    with pytest.raises(InputError) as error:
        main(["report", "--publish"])
    assert all(word in str(error.value) for word in words), error.value
    assert len(str(error.value)) < 500
    assert files.contents(here) == before
    if pattern == "a model":
        main(["report", "--publish", "--drop"])
        assert not _rows(here / "docs/results", model="hit", setting="strict")
        main(["report", "--publish"])


def test_what_is_dropped_leaves_no_figure(here):
    (here / "docs/results/serving_latency.csv").unlink()
    main(["report", "--publish", "--drop"])
    assert sorted(path.name for path in (here / "docs/results/figures").iterdir()) == [
        "movielens-heads.png", "movielens-protocols.png", "movielens-published.png",
    ]  # fmt: skip
    assert "serving_latency.csv" in (here / "docs/results/README.md").read_text()  # the introduction names it


def test_a_page_without_its_places_stops_it(here):
    (here / "README.md").write_text(_README.replace("<!-- end of findings -->", ""))
    write_run(here / "results" / "runs", "cold", 0, 0.92, data="f", raw_data=_RAW)
    before = files.contents(here)
    with pytest.raises(InputError, match=r"README.md: cannot be filled in: .*<!-- findings -->"):
        main(["report", "--publish"])
    assert files.contents(here) == before


def test_after_a_failure_the_same_command_completes(here, monkeypatch):
    write_run(here / "results" / "runs", "cold", 0, 0.92, data="f", raw_data=_RAW)
    real = files.write_bytes
    whole = here.with_name("whole")
    shutil.copytree(here, whole)
    monkeypatch.chdir(whole)
    count = []
    monkeypatch.setattr(files, "write_bytes", lambda *args: (count.append(1), real(*args)))
    main(["report", "--publish"])
    for failing in (0, 5, len(count) - 2, len(count) - 1):
        again = here.with_name(f"failing-{failing}")
        shutil.copytree(here, again)
        monkeypatch.chdir(again)
        left = [failing]

        def write(*args, left=left):
            if not left[0]:
                raise OSError(28, "No space left on device", str(args[0]))
            left[0] -= 1
            real(*args)

        monkeypatch.setattr(files, "write_bytes", write)
        with pytest.raises(InputError, match="cannot write the results: No space left on device"):
            main(["report", "--publish"])
        monkeypatch.setattr(files, "write_bytes", real)
        main(["report", "--publish"])
        assert files.contents(again) == files.contents(whole)


@pytest.mark.parametrize("raw", [_OTHER, None], ids=["raw data named", "raw data not named"])
def test_other_data_under_the_same_titles_are_tables_of_their_own(here, raw, capsys):
    pages = {page: (here / page).read_text() for page in _PAGES}
    figures = list(here.glob("docs/results/figures/*.png"))
    _write_runs(here / "results" / "runs", shift=-0.3, data="0", raw_data=raw)
    main(["report"])
    assert "**`strict`: 1,000 train" in (here / "results" / "README.md").read_text()  # of one data only
    main(["report", "--publish"])
    assert f"README.md and docs/ show movielens on the data `{_RAW}`" in capsys.readouterr().out
    for page, text in pages.items():
        assert (here / page).read_text() == text, page
    text = (here / "docs/results/README.md").read_text()
    for protocol, leaks in (("strict", 0), ("reference", 5)):
        for data in ("0", "f"):
            assert text.count(f"### Models\n\n**`{protocol}, data {data}-{protocol}-{leaks}`: 1,000 train") <= 1
            assert f"**`{protocol}, data {data}-{protocol}-{leaks}`: 1,000 train" in text
    assert f"## `movielens`, data `{_RAW}`" in text
    assert text.index("data f-strict-0") < text.index("data 0-strict-0")  # what the pages show comes first
    assert all(path.exists() for path in figures)
    found = {row["data"]: row for row in _rows(here / "docs/results", setting="strict", model="hit", options="")}
    assert {data: row["auc_mean"] for data, row in found.items()} == {"f-strict-0": "0.9105", "0-strict-0": "0.6105"}
    assert {data: row["latency_ms"] for data, row in found.items()} == {"f-strict-0": "1.25", "0-strict-0": ""}
    if raw:  # protocols are compared on the same data only
        assert f"## `movielens`, data `{_OTHER}`" in text
        assert text.count("**`strict` against `reference`**") == 2
        assert (here / f"docs/results/figures/movielens-{_OTHER}-protocols.png").exists()
    before = files.contents(here)
    main(["report", "--publish"])
    assert files.contents(here) == before


def test_the_pages_change_to_other_data_only_if_these_have_all_results(here):
    _write_runs(here / "results" / "runs", shift=-0.3, data="0", raw_data=_OTHER, models=["hit"])
    main(["report", "--publish"])
    before = files.contents(here)
    with pytest.raises(InputError, match="would lose movielens, strict: dssm, hit item_heads=1 user_heads=1; "):
        main(["report", "--publish", "--data", f"movielens={_OTHER}"])
    with pytest.raises(InputError, match=f"has to say which data .* one of: .*{_OTHER} .*1,500 rows.*{_RAW}"):
        main(["report", "--publish", "--data", "movielens=nonsense"])
    with pytest.raises(InputError, match="--data taobao: README.md and docs/ show no results"):
        main(["report", "--publish", "--data", "taobao=0"])
    assert files.contents(here) == before
    main(["report", "--publish", "--drop", "--data", f"movielens={_OTHER}"])
    assert "0.6105" in (here / "README.md").read_text()
    main(["report", "--publish"])  # and they stay
    assert "0.6105" in (here / "README.md").read_text()
    assert "0.9105" in (here / "docs/results/README.md").read_text()
    main(["report", "--publish", "--data", "movielens=f-reference-5"])  # nothing is lost by that
    assert (here / "README.md").read_bytes() == before[Path("README.md")]


def test_a_new_setting_of_the_same_data_is_shown_and_one_of_others_is_not(here):
    runs = here / "results" / "runs"
    write_run(runs, "dssm", 0, 0.87, options={"split": "random"}, data="f-random", raw_data=_RAW)
    write_run(runs, "dssm", 0, 0.67, options={"split": "user_time"}, data="0-user", raw_data=_OTHER)
    for place in runs.glob("movielens/strict/dssm/*/metrics.json"):
        split = "user_time" if _OTHER in place.read_text() else "random"
        state = "online" if split == "user_time" else "frozen"
        text = place.read_text().replace('"split": "time"', f'"split": "{split}"')
        place.write_text(text.replace('"state": "online"', f'"state": "{state}"'))
    main(["report", "--publish"])
    models = (here / "docs" / "models.md").read_text()
    assert "| `strict, random, frozen` | `dssm` |" in models
    assert "user_time" not in models
    assert "strict, user_time, online, data 0-user-strict-0" in (here / "docs/results/README.md").read_text()


def test_the_first_publication_of_several_data_asks_which(here):
    shutil.rmtree(here / "docs")
    (here / "docs").mkdir()
    (here / "docs" / "models.md").write_text(_MODELS)
    (here / "README.md").write_text(_README)
    for data, raw in (("f", _RAW), ("0", _OTHER)):
        _write_runs(here / "results" / "runs", data=data, raw_data=raw)
    before = files.contents(here)
    with pytest.raises(InputError, match=f"--data movielens=DATA has to say .*{_OTHER} .*; {_RAW} "):
        main(["report", "--publish"])
    assert files.contents(here) == before
    main(["report", "--publish", "--data", f"movielens={_RAW}"])
    assert f"`{_RAW}`" in (here / "docs" / "models.md").read_text()


def test_a_damaged_file_is_named_where_it_lies(here):
    (place,) = here.glob("docs/results/runs/movielens/strict/hit/seed1-*/metrics.json")
    place.write_text("{")
    with pytest.raises(InputError, match=r"^docs/results/runs/movielens/strict/hit/seed1-"):
        main(["report", "--publish"])


def test_latencies_that_name_no_data_are_of_the_data_shown(here):
    _write_runs(here / "results" / "runs", shift=-0.3, data="0", raw_data=_OTHER, models=["hit"])
    unnamed = _LATENCIES.replace("raw_data,", "").replace(f"{_RAW},", "")
    (here / "docs/results/serving_latency.csv").write_text(unnamed)
    main(["report", "--publish"])
    found = {row["data"]: row["latency_ms"] for row in _rows(here / "docs/results", setting="strict", options="")}
    assert found == {"f-strict-0": "0.75", "0-strict-0": ""}


def test_a_long_list_of_losses_is_cut():
    assert summary(["a", "b"]) == "a; b"
    assert len(summary(["x" * 1000] * 5)) < 330
    assert summary(["x" * 290, "y" * 20, "z"]) == "x" * 290 + "; and 2 more"


def test_records_of_the_cascade_are_published_with_the_runs(here):
    write_run(here / "results" / "runs", "dssm", 5, 0.9, data="f", raw_data=_RAW)
    record = write_record(here / "results", "dssm")
    main(["report", "--publish"])
    published = here / "docs" / "results" / record.relative_to(here / "results")
    assert (published / "cascade.json").read_bytes() == (record / "cascade.json").read_bytes()
    page = (here / "docs" / "results" / "cascade" / "README.md").read_text()
    assert "`dssm`" in page
    shutil.rmtree(here / "results")
    before = files.contents(here / "docs")
    main(["report", "--publish"])
    assert files.contents(here / "docs") == before
