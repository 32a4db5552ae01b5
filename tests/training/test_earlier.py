"""What `--init_from` and `--state_from` stand for: a run, its export, its data and their state."""

import json

import pytest
import yaml

import train_movielens_whole_models as script
from prerank.errors import InputError
from training.app import main
from training.config import parse
from training.earlier import going_on


@pytest.fixture(scope="module")
def days(sample_folder, tmp_path_factory):
    """The sample cut in two by time, and a run on the first half with its export; trained without gradient steps."""
    folder = tmp_path_factory.mktemp("days")
    lines = (sample_folder / "ratings.dat").read_text().splitlines()
    times = [int(line.rsplit("::", 1)[1]) for line in lines]
    middle = sorted(times)[len(times) // 2]
    for name, late in (("day1", False), ("day2", True)):
        (folder / name).mkdir()
        for file in ("users.dat", "movies.dat"):
            (folder / name / file).write_bytes((sample_folder / file).read_bytes())
        chosen = [line for line, time in zip(lines, times, strict=True) if (time > middle) == late]
        (folder / name / "ratings.dat").write_text("".join(f"{line}\n" for line in chosen))
    flags = places(folder, "day1") + ["--save_state", "all", "--export_dir", str(folder / "out")]
    assert main(script.SOURCE, flags) == 0
    (run,) = (path.parent for path in folder.glob("runs/*/*/*/*/metrics.json"))
    return folder, run


def places(folder, day):
    places = ["--prepared_dir", str(folder / "prepared"), "--output_dir", str(folder / "runs")]
    return ["--data_path", str(folder / day), *places, "--model_name", "target_means"]


def gone_on(*flags):
    return going_on(parse(flags, program="train.py", description=""))


def test_a_run_and_its_export_are_the_same_and_bring_the_state(days):
    folder, run = days
    of_run, of_export = (gone_on("--init_from", str(place)) for place in (run, folder / "out"))
    fingerprint = json.loads((run / "metrics.json").read_text())["data_fingerprint"]
    for config in (of_run, of_export):
        assert config.run.init_from == run
        assert [config.data.state_from] == list(folder.glob(f"prepared/*/{fingerprint}"))
        assert config.data.resolved().save_state == "all"
    assert gone_on("--state_from", str(run)).data.state_from == of_run.data.state_from
    assert gone_on("--save_state", "all").data.state_from is None


def test_a_second_day_goes_on(days, capsys):
    folder, run = days
    flags = [*places(folder, "day2"), "--init_from", str(folder / "out"), "--export_dir", str(folder / "out2")]
    assert main(script.SOURCE, flags) == 0
    assert "means, histories and vocabularies go on from" in capsys.readouterr().out
    before, after = (yaml.safe_load((folder / name / "config.yaml").read_text()) for name in ("out", "out2"))
    assert (before["init_from"], after["init_from"]) == (None, str(run))
    assert (folder / "out2" / "item_counts.parquet").is_file()
    # the first day again is not later than itself
    assert main(script.SOURCE, [*places(folder, "day1"), "--init_from", str(run)]) == 2
    assert "--state_from: the state counts rows up to" in capsys.readouterr().err


def test_what_is_gone_or_does_not_fit_is_said(days, tmp_path):
    folder, run = days
    with pytest.raises(InputError, match="--init_from: the run keeps a state: .*needs --split time"):
        gone_on("--init_from", str(run), "--split", "random")
    with pytest.raises(InputError, match="--init_from: expected the folder of a finished run"):
        gone_on("--init_from", str(tmp_path))
    config = yaml.safe_load((folder / "out" / "config.yaml").read_text())
    for name in ("features.json", "metrics.json"):
        (tmp_path / name).write_bytes((folder / "out" / name).read_bytes())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config | {"output_dir": str(tmp_path / "elsewhere")}))
    with pytest.raises(InputError, match="an export begins where its run ended, and the run is gone"):
        gone_on("--init_from", str(tmp_path))
