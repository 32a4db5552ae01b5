"""Scoring and the best items, wrong requests, damaged artefacts, and many threads."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from artefacts import export_small, saved_model_scores, users, write_items

from benchmarks.serving_stress import stress
from prerank import answering, index, preranker
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.command_line import main
from prerank.errors import ArtefactError, InputError, RequestError, UnknownItemsError
from prerank.preranker import PreRanker
from prerank.snapshot import Snapshot

IDS = list(range(1, 400, 2))
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An exported HIT with its index."""
    folder = tmp_path_factory.mktemp("hit")
    items = write_items(folder / "items.parquet", IDS)
    export_small("hit", folder / "out", catalogue=items)
    build(Artefact(folder / "out"), items, folder / "out" / "index")
    return folder / "out"


@pytest.fixture(scope="module")
def ranker(place):
    return PreRanker(place)


@pytest.fixture(scope="module")
def expected(place):
    """Logits by item id for the first user, by the SavedModel."""
    return saved_model_scores(Artefact(place), users(1)[0], place / "catalogue.parquet")


def brute_force(expected, n, among=None, without=()):
    ids = [key for key in expected if (among is None or key in among) and key not in without]
    return sorted(ids, key=lambda key: -expected[key])[:n]


@pytest.mark.parametrize("n", [1, 10, 100, 199, 200, 5000])
def test_top_is_the_best_of_all(n, ranker, expected):
    found = ranker.top(users(1)[0], n)
    assert len(found.ids) == min(n, len(IDS))
    np.testing.assert_allclose(found.scores, [expected[key] for key in found.ids.tolist()], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.scores, sorted(expected.values(), reverse=True)[:n], rtol=0, atol=1e-4)
    assert len(set(found.ids.tolist())) == len(found.ids)


def test_top_among_candidates_and_without_some(ranker, expected):
    user, some = users(1)[0], IDS[20:120]
    best = brute_force(expected, 5)
    assert ranker.top(user, 10, exclude=best).ids.tolist() == brute_force(expected, 10, without=best)
    assert ranker.top(user, 10, exclude=set(best)).ids.tolist() == brute_force(expected, 10, without=best)
    assert ranker.top(user, 10, candidates=some).ids.tolist() == brute_force(expected, 10, some)
    assert ranker.top(user, 10, candidates=some * 2).ids.tolist() == brute_force(expected, 10, some)
    without = brute_force(expected, 3, some)
    found = ranker.top(user, 10, candidates=[*some, -5], exclude=[*without, -7])
    assert found.ids.tolist() == brute_force(expected, 10, some, without)
    assert found.unknown == (-5,)
    assert ranker.top(user, 10, candidates=some, exclude=some).ids.size == 0
    assert ranker.top(user, 10, exclude=IDS).ids.size == 0


@pytest.mark.parametrize("none", [[], (), set(), np.array([], np.int64)])
def test_of_no_candidates_comes_an_empty_answer(none, ranker):
    for found in (
        ranker.top(users(1)[0], 3, candidates=none, strict=True),
        ranker.score(users(1)[0], none, strict=True),
    ):
        assert (len(found.ids), len(found.scores), found.unknown, found.version) == (0, 0, (), ranker.version)


def test_unknown_candidates_are_reported(ranker, expected):
    found = ranker.score(users(1)[0], np.array([5, 2, 7, 900]))
    assert found.unknown == (2, 900)
    assert np.isnan(found.scores[[1, 3]]).all()
    np.testing.assert_allclose(found.scores[[0, 2]], [expected[5], expected[7]], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.probabilities[0], 1 / (1 + math.exp(-expected[5])), rtol=0, atol=1e-4)
    assert ranker.score(users(1)[0], [2]).unknown == (2,)
    with pytest.raises(UnknownItemsError, match="candidates: 2 of the ids are not in the index: 2, 900") as error:
        ranker.score(users(1)[0], [5, 2, 7, 900], strict=True)
    assert error.value.ids == [2, 900]


@pytest.mark.parametrize("held", [1, 450, 1 << 22])
def test_users_in_a_batch_score_as_they_do_alone(ranker, monkeypatch, held):
    """However many are answered at a time: here one, two, all."""
    monkeypatch.setattr(preranker, "_MOST_SCORES", held)
    several = users(6)
    for user, scored, best in zip(
        several, ranker.score_many(several, IDS[:9]), ranker.top_many(several, 7), strict=True
    ):
        np.testing.assert_allclose(scored.scores, ranker.score(user, IDS[:9]).scores, rtol=0, atol=1e-5)
        np.testing.assert_allclose(best.scores, ranker.top(user, 7).scores, rtol=0, atol=1e-5)


def test_what_has_a_default_may_be_left_out(ranker):
    user = users(1)[0]
    rest = {name: value for name, value in user.items() if name not in ("user_mean_rating", "user_hist")}
    explicit = ranker.score({**rest, "user_mean_rating": 0.5, "user_hist": []}, IDS[:5]).scores
    assert np.array_equal(ranker.score(rest, IDS[:5]).scores, explicit)
    assert np.array_equal(ranker.score({**rest, "user_mean_rating": None, "user_hist": None}, IDS[:5]).scores, explicit)
    assert not np.array_equal(ranker.score(user, IDS[:5]).scores, explicit)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": ...}, "user: feature 'age' is missing"),
        ({"shoe_size": 43}, "user: there is no user feature 'shoe_size'"),
        ({"user_id": "4_2"}, "user: feature 'user_id' has to be an integer. Received: '4_2'"),
        ({"user_id": 4.5}, "user: feature 'user_id' has to be an integer. Received: 4.5"),
        ({"user_id": 2**63}, "user: feature 'user_id' has to be an integer of 64 bits"),
        ({"gender": 1.5}, "user: feature 'gender' has to be a text. Received: 1.5"),
        ({"user_mean_rating": math.inf}, "user: feature 'user_mean_rating' has to be a finite number of 32 bits"),
        ({"user_mean_rating": "high"}, "user: feature 'user_mean_rating' has to be a number"),
        ({"user_hist": 7}, "user: feature 'user_hist' has to be a sequence"),
        ({"user_hist": "7"}, "user: feature 'user_hist' has to be a sequence"),
        ({"user_hist": [7, "x"]}, "user: feature 'user_hist' has to be an integer. Received: 'x'"),
        ({"user_hist": b"ab"}, "user: feature 'user_hist' has to be a sequence"),
        ({"user_hist": np.array(7)}, "user: feature 'user_hist' has to be a sequence"),
        ({"gender": "\ud800"}, "user: feature 'gender' has to be a text of Unicode characters"),
        ({"gender": "F\0"}, "user: feature 'gender' has to be a text of Unicode characters, without NUL"),
        ({"user_mean_rating": 1e39}, "user: feature 'user_mean_rating' has to be a finite number of 32 bits"),
    ],
)
def test_a_wrong_user_is_named(change, message, ranker):
    user = {name: value for name, value in {**users(1)[0], **change}.items() if value is not ...}
    with pytest.raises(RequestError, match=message):
        ranker.top(user, 3)


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        (["a"], "candidates: an item id has to be an integer. Received: 'a'"),
        ([1, math.nan], "candidates: an item id has to be an integer. Received: nan"),
        ([1.5], "candidates: an item id has to be an integer. Received: 1.5"),
        ([[1, 2]], "candidates: an item id has to be an integer"),
        ([[1], [2, 3]], "candidates: an item id has to be an integer"),
        ([None], "candidates: an item id has to be an integer"),
        ("1_2", "candidates: an item id has to be an integer"),
        (bytearray(b"12"), "candidates: an item id has to be an integer"),
        ([1, 2**63], "candidates: an item id has to be an integer of 64 bits. Received: 9223372036854775808"),
        ([-1, 2**70], "Received: 1180591620717411303424"),
        (np.array([1, 2**63], np.uint64), "Received: .*9223372036854775808"),
        ((number for number in [1]), "candidates: an item id has to be an integer"),
    ],
)
def test_wrong_candidates_are_named(candidates, message, ranker):
    with pytest.raises(RequestError, match=message):
        ranker.score(users(1)[0], candidates)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("state", [math.nan, math.inf])
def test_a_number_of_which_no_finite_score_comes_is_named(state, ranker, monkeypatch):
    encode = ranker._encode
    states = {name: np.full_like(part, state) for name, part in encode(ranker._users.arrays(users(1))).items()}
    monkeypatch.setattr(ranker, "_encode", lambda values: states)  # weights decide which numbers are too large
    user = {**users(1)[0], "user_mean_rating": 1e38}
    for ask in (lambda: ranker.score(user, IDS), lambda: ranker.top(user, 3)):
        with pytest.raises(RequestError, match=r"user: a number is out of range.*: user_mean_rating 1e\+38"):
            ask()


def test_what_else_may_be_left_out(ranker, expected):
    user, best = users(1)[0], brute_force(expected, 4)
    for exclude in (None, set(), np.array([], np.int64)):
        assert ranker.top(user, 3, exclude=exclude).ids.tolist() == best[:3]
    for exclude in (best[0], np.int64(best[0]), np.array(best[0]), {best[0]}):
        assert ranker.top(user, 3, exclude=exclude).ids.tolist() == best[1:]
    with pytest.raises(RequestError, match="exclude: an item id has to be an integer"):
        ranker.top(user, 3, exclude=(number for number in best))
    assert ranker.score(user, np.array(5)).ids.tolist() == [5]


@pytest.mark.parametrize("several", [None, "ab", iter([]), {"user_id": 1}])
def test_wrong_users_are_named(several, ranker):
    for ask in (lambda: ranker.score_many(several, IDS), lambda: ranker.top_many(several, 3)):
        with pytest.raises(RequestError, match="users: expected a sequence of users"):
            ask()


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "3"])
def test_a_wrong_number_of_items_is_named(n, ranker):
    with pytest.raises(RequestError, match="top: expected a positive integer"):
        ranker.top(users(1)[0], n)


def test_no_users_and_no_user(ranker):
    with pytest.raises(RequestError, match="users: empty"):
        ranker.top_many([], 3)
    with pytest.raises(RequestError, match="user: expected features by name"):
        ranker.top(None, 3)


FILES = [
    "features.json", "saved_model.pb", "scorer.npz", "variables/variables.index",
    "variables/variables.data-00000-of-00001", "index/CURRENT", "index/v000001/manifest.json",
    "index/v000001/ids.npy", "index/v000001/heads.npy",
]  # fmt: skip


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_named(file, place, tmp_path):
    shutil.copytree(place, tmp_path / "out")
    (tmp_path / "out" / file).unlink()
    with pytest.raises(ArtefactError) as error:
        PreRanker(tmp_path / "out")
    assert file in str(error.value)


@pytest.mark.parametrize("file", FILES)
def test_a_truncated_file_is_named(file, place, tmp_path):
    shutil.copytree(place, tmp_path / "out")
    whole = (tmp_path / "out" / file).read_bytes()
    (tmp_path / "out" / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtefactError) as error:
        PreRanker(tmp_path / "out")
    assert file.removeprefix("index/CURRENT") in str(error.value)
    assert "\n" not in str(error.value)


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF
    path.write_bytes(data)


def edit(path, **changes):
    described = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in described.items() if value is not ...}))


DAMAGES = [
    ("v000001/heads.npy", lambda path: flip(path, 20), "SHA-256"),
    ("v000001/heads.npy", lambda path: flip(path, -1), "SHA-256"),
    ("v000001/ids.npy", lambda path: flip(path, 8), "SHA-256"),
    ("CURRENT", lambda path: path.write_bytes(b"\xff\xfe\x00"), "damaged"),
    ("CURRENT", lambda path: path.write_text(""), "damaged"),
    ("v000001/manifest.json", lambda path: edit(path, files=...), "files: Field required"),
    ("v000001/manifest.json", lambda path: edit(path, files=None), "files: Input should be an object"),
    ("v000001/manifest.json", lambda path: edit(path, files={}), "lists no file"),
    ("v000001/manifest.json", lambda path: edit(path, arrays={"heads": 3}), "arrays.heads: Input should be an object"),
    ("v000001/manifest.json", lambda path: edit(path, dtype="int4"), "storage type 'int4'"),
    ("v000001/heads.npy", lambda path: edit(path.with_name("manifest.json"), dtype="int8", arrays=HALF), "expected {"),
]
HALF = {"heads": {"shape": [1, 1, 1], "dtype": "float16"}}


@pytest.mark.parametrize(("file", "damage", "message"), DAMAGES)
def test_a_file_damaged_at_the_same_size_is_named_and_stops_no_service(
    file, damage, message, place, ranker, tmp_path, caplog
):
    shutil.copytree(place / "index", tmp_path / "index")
    damage(tmp_path / "index" / file)
    (tmp_path / "index" / "CURRENT").write_bytes((tmp_path / "index" / "CURRENT").read_bytes())
    with pytest.raises(ArtefactError, match=message) as error:
        Snapshot.open(tmp_path / "index", Artefact(place).fingerprint)
    assert str(tmp_path / "index" / file) in str(error.value)
    assert "\n" not in str(error.value)
    kept = ranker._index._folder
    ranker._index._folder = tmp_path / "index"
    try:
        assert len(ranker.top(users(1)[0], 3).ids) == 3
    finally:
        ranker._index._folder = kept
    assert "stays at v000001" in caplog.text


def test_ids_of_another_type_are_refused(place, tmp_path):
    fingerprint = Artefact(place).fingerprint
    _, states = index.read(place / "index", fingerprint)
    with index.writing(tmp_path / "index"):
        wrong = index.ItemStates(states.ids.astype(np.float64), states.arrays, "float32")
        index.publish(tmp_path / "index", wrong, {"fingerprint": fingerprint})
    with pytest.raises(ArtefactError, match="ids.npy: expected ids of int64 or text. Received: float64"):
        index.read(tmp_path / "index", fingerprint)


@pytest.mark.parametrize("files", [None, {"scorer.npz": None}])
def test_a_damaged_description_is_named(files, place, tmp_path):
    shutil.copy(place / "features.json", tmp_path)
    edit(tmp_path / "features.json", files=files)
    with pytest.raises(ArtefactError, match=r"features.json: damaged: files(\.scorer\.npz)?: Input should be"):
        Artefact(tmp_path)


def test_a_saved_model_without_tensorflow_is_told_in_one_line(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(InputError, match=r"a SavedModel needs TensorFlow.*: pip install tensorflow"):
        Artefact(place)


def test_a_model_of_one_tower_is_refused(tmp_path):
    place = export_small("cold", tmp_path / "out", catalogue=write_items(tmp_path / "items.parquet", IDS))
    with pytest.raises(ArtefactError, match="cold has no towers"):
        PreRanker(place)
    with pytest.raises(ArtefactError, match="cold has no towers"):
        build(Artefact(place), tmp_path / "items.parquet", tmp_path / "index")


def test_an_index_that_cannot_be_used_does_not_stop_the_service(place, tmp_path, caplog):
    index = tmp_path / "index"
    shutil.copytree(place / "index", index)
    ranker = PreRanker(place, index)
    (index / "CURRENT").unlink()
    (index / "CURRENT").write_text("v000009\n")
    assert len(ranker.top(users(1)[0], 3).ids) == 3
    assert "stays at v000001" in caplog.text
    with pytest.raises(ArtefactError, match="v000009"):
        ranker.reload()


@pytest.mark.parametrize("name", ["hit", "fit"])
def test_sixteen_threads_while_the_index_is_replaced(name, tmp_path):
    export_small(name, tmp_path / "out")
    catalogues = (
        write_items(tmp_path / "first.parquet", IDS),
        write_items(tmp_path / "second.parquet", IDS[::-1] + [1000, 1002], seed=1),
    )
    requests = 5000 if name == "hit" else 500
    outcome = stress(tmp_path / "out", catalogues, tmp_path / "indexes", users(8), requests=requests)
    assert not outcome.wrong
    assert outcome.requests.total() == requests
    assert len(outcome.requests) > 2, "the index should have been replaced under load"


def run_prerank(*flags):
    command = [sys.executable, "-m", "prerank", *map(str, flags)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_prerank_lists_the_best_and_scores_candidates(place, tmp_path, ranker):
    user = users(1)[0]
    (tmp_path / "ids.txt").write_text("5\n\n2\n7\n")
    done = run_prerank("score", "--model", place, "--user", json.dumps(user), "--candidates", tmp_path / "ids.txt")
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == ["5", "2", "7"]
    np.testing.assert_allclose([float(line[1]) for line in lines], ranker.score(user, [5, 2, 7]).scores, atol=1e-4)
    assert done.stderr.strip().splitlines()[-1] == "not in the index: 2"


def test_prerank_prints_no_line_for_no_item(place, tmp_path, monkeypatch, capsys):
    (tmp_path / "ids.txt").write_text("2\n")
    candidates = str(tmp_path / "ids.txt")
    flags = ["top", "--model", str(place), "--user", json.dumps(users(1)[0]), "--top", "3", "--candidates", candidates]
    monkeypatch.setattr(answering, "limit_threads", lambda: None)
    assert main(flags) == 0
    shown, said = capsys.readouterr()
    assert shown == ""
    assert "not in the index: 2" in said
    (tmp_path / "ids.txt").write_text("2\n9223372036854775808\n")
    assert main(flags) == 2
    assert "ids.txt, line 2: an item id has to be an integer of 64 bits" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "code", "said"), [("pipe", 0, ""), ("/dev/full", 2, "error: cannot write to standard")]
)
def test_an_output_that_takes_no_more(out, code, said):
    if out == "pipe":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        if not Path(out).exists():
            pytest.skip(f"this system has no {out}")
        writer = os.open(out, os.O_WRONLY)
    program = "import sys; from prerank.terminal import run, write; sys.exit(run(lambda: write('a' * 100000)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert done.returncode == code
    assert done.stderr.startswith(said) if said else not done.stderr
    assert len(done.stderr.splitlines()) == bool(said)


def test_prerank_answers_in_json(place, ranker, monkeypatch, capsys):
    user = users(1)[0]
    flags = ["top", "--model", str(place), "--user", json.dumps(user), "--top", "4", "--format", "json"]
    monkeypatch.setattr(answering, "limit_threads", lambda: None)
    assert main(flags) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [item["id"] for item in answer["items"]] == ranker.top(user, 4).ids.tolist()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["top", "--top", "0"], "argument --top: expected an integer from 1. Received: '0'"),
        (["score"], "the following arguments are required: --candidates"),
        (["top", "--user", "{"], "--user: truncated or damaged, not JSON"),
        (["top", "--user", '{"user_id": 1}'], "user: feature 'gender' is missing"),
        (["score", "--candidates", "absent.txt"], "absent.txt: --candidates: cannot be read"),
    ],
)
def test_prerank_takes_wrong_input_in_one_line(flags, message, place, monkeypatch, capsys):
    monkeypatch.setattr(answering, "limit_threads", lambda: None)
    command, *rest = flags
    assert main([command, "--model", str(place), "--user", json.dumps(users(1)[0]), *rest]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_the_old_names_work_and_name_the_new(place, tmp_path):
    user = json.dumps(users(1)[0])
    old = [sys.executable, "prerank.py", "--model", place, "--top", "2", "--user", user]
    done = subprocess.run(list(map(str, old)), cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == run_prerank("top", "--model", place, "--top", 2, "--user", user).stdout
    assert done.stderr.splitlines()[0] == "prerank.py is now `python -m prerank top` and `python -m prerank score`"
    old = [sys.executable, "-c", "import serving.preranker as old, prerank; assert old.PreRanker is prerank.PreRanker"]
    done = subprocess.run(old, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == "serving is now prerank, and serving.export is now export.writer\n"
    command = [sys.executable, "-m", "serving.build_index", "--model", place, "--out", tmp_path / "index"]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=True)
    assert "items, float32" in done.stdout
