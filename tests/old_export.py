"""Makes the export and the index that are committed in `tests/old_export/`: `python -m tests.old_export FOLDER`.

Their weights are random, and their items are made up. They are as version 0.1.0 wrote them on 28 November 2026, and a
runtime serves them for as long as it reads their formats. So they are not made again when the formats change.
"""

import json
import shutil
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
import numpy as np  # noqa: E402
from artefacts import export_small, users, write_items  # noqa: E402

import legacy_keras  # noqa: E402, F401
from prerank.artefact import Artefact  # noqa: E402
from prerank.build_index import build, remove_items  # noqa: E402
from prerank.preranker import PreRanker  # noqa: E402

IDS = list(range(1, 400, 2))
ASKED = {"n": 8, "filter": {"genres": {"not": ["War"]}}, "value": "movie_id", "at_most": {"genres": 4}}


def make(folder: Path) -> None:
    """Write the export with its index, and what it answers, into a new folder."""
    folder.mkdir(parents=True)
    items = write_items(folder / "items.parquet", IDS)
    export_small("dssm", folder / "out", catalogue=items, export_format="onnx")
    model, index = Artefact(folder / "out"), folder / "out" / "index"
    build(model, items, index, attributes=["movie_id", "genres"])
    remove_items(model, index, np.array(IDS[4:6]))
    ranker = PreRanker(folder / "out")
    answers = [{"user": user, "answer": ranker.top(user, **ASKED).to_dict()} for user in users(4, seed=2)]
    (folder / "answers.json").write_text(json.dumps(answers, indent=1) + "\n")
    for catalogue in (folder / "items.parquet", folder / "out" / "catalogue.parquet"):  # which serving does without
        catalogue.unlink()
    for lock in folder.rglob("*.lock"):
        lock.unlink()


if __name__ == "__main__":
    place = Path(sys.argv[1])
    shutil.rmtree(place, ignore_errors=True)
    make(place)
