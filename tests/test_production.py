"""The commands of docs/production.md, taken from the page and run in order, on fewer rows."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "production.md").read_text()
COMMANDS = re.findall(r"^```sh\n(.+?)\n```$", PAGE, re.MULTILINE | re.DOTALL)
_BEGIN = """
set -euo pipefail
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
"""


def install(folder):
    """The commands of the page, of this checkout, in a folder for PATH; and the script beside the data."""
    folder.mkdir()
    for name, arguments in (("python", ""), ("prerank", " -m prerank")):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n')
        (folder / name).chmod(0o755)
    (folder.parent / "train_whole_models.py").symlink_to(ROOT / "train_whole_models.py")


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def test_each_command_is_one_line():
    assert len(COMMANDS) > 12
    assert all("\n" not in command for command in COMMANDS)


@pytest.mark.slow
def test_the_whole_loop_runs_as_the_page_says(tmp_path):
    pytest.importorskip("starlette", reason="requirements-serve.txt is not installed")
    ports = {"8501": str(free_port()), "8502": str(free_port())}
    script = [_BEGIN]
    for number, command in enumerate(COMMANDS):
        command = re.sub("|".join(ports), lambda found: ports[found[0]], command)
        command = command.replace("--rows 100000", "--rows 12000 --users 600 --ads 400")
        command = command.replace("--batch_size 512", "--batch_size 128 --lr 0.003")
        if command.endswith("&"):
            command = f"{command[:-1]} > {number}.out 2>&1 &"
        elif "> data" not in command:
            command = f"{command} > {number}.out"
        script.append(command)
    install(tmp_path / "bin")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT), "PATH": path}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=560,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]

    def output(part):
        (number,) = [number for number, command in enumerate(COMMANDS) if part in command]
        return (tmp_path / f"{number}.out").read_text()

    assert (tmp_path / "data/guess.yaml").read_text().count("user_id") > 1
    assert "calibrated on validation" in output("--data_path data/ads/day1")
    best = [line.split("\t")[0] for line in output("prerank top").splitlines()]
    assert (len(best), len(set(best))) == (5, 5)
    answer = json.loads(output("8501/v1/top"))
    assert (answer["index"], len(answer["items"])) == ("v000001", 3)
    values = [item["value"] for item in answer["items"]]
    assert values == sorted(values, reverse=True)
    assert "/v000002" in output("--items data/ads/changed2")
    manifest = json.loads((tmp_path / "out/day1/index/v000002/manifest.json").read_text())
    live = set(pq.read_table(tmp_path / "data/ads/items2.parquet")["ad_id"].to_pylist())
    assert manifest["items"] == len(live)
    assert re.search(r"all rows +0\.\d{4}", output("prerank evaluate"))
    assert "<polyline" in (tmp_path / "out/day2.html").read_text()
    assert "all rows" in output("prerank compare")
    described = json.loads((tmp_path / "out/day2/features.json").read_text())
    assert (described["calibrated"], described["calibration"]["kind"]) == (True, "isotonic")
    assert pq.read_table(tmp_path / "out/scores.parquet").num_rows == 12_000
    before, after = (
        json.loads(next((tmp_path / "runs" / day).rglob("metrics.json")).read_text()) for day in ("day1", "day2")
    )
    assert before["run_id"] != after["run_id"]
