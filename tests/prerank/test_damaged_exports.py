"""Exports and indexes that somebody or something changed: nothing of them is loaded, indexed or served."""

import json
import logging
import os
import random
import shutil

import numpy as np
import pytest
from artefacts import export_small, users, write_items
from damaged import EXAMPLES, damaged_json, survives

from prerank import description, index
from prerank.artefact import Artefact
from prerank.build_index import build
from prerank.command_line import main
from prerank.encoding import Indexer
from prerank.errors import ArtefactError
from prerank.kernels import META_INDEX
from prerank.layout import FEATURES
from prerank.preranker import PreRanker
from prerank.storage import StoredArray

IDS = list(range(1, 60, 3))


@pytest.fixture(scope="module", params=["saved_model", "onnx"])
def place(request, tmp_path_factory):
    """An exported HIT with a catalogue and its index."""
    if request.param == "onnx":
        pytest.importorskip("tf2onnx", reason="requirements-onnx.txt is not installed")
    return _exported(tmp_path_factory.mktemp(request.param), "hit", request.param)


@pytest.fixture(scope="module")
def onnx(tmp_path_factory):
    """An exported FIT, whose kernel reads two arrays, with its index."""
    pytest.importorskip("tf2onnx", reason="requirements-onnx.txt is not installed")
    return _exported(tmp_path_factory.mktemp("fit"), "fit", "onnx")


def _exported(folder, name, export_format):
    items = write_items(folder / "items.parquet", IDS)
    place = export_small(name, folder / "out", catalogue=items, export_format=export_format)
    build(Artefact(place), items, place / "index")
    return place


def _copy(place, tmp_path):
    return shutil.copytree(place, tmp_path / "out")


def edit(place, change):
    """Change the description of an export, and its SHA-256 with it, as one who knows how would."""
    described = json.loads((place / FEATURES).read_text())
    described = change(described) or described
    (place / FEATURES).write_text(description.to_text(described))


def test_every_file_is_listed_with_its_sha256(place):
    described = json.loads((place / FEATURES).read_text())
    files = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file() and "index" not in path.parts}
    assert set(described["files"]) == files - {FEATURES, "fingerprint.pb"}  # a random number of TensorFlow's
    assert all(set(entry) == {"bytes", "sha256"} for entry in described["files"].values())


def test_one_flipped_bit_is_noticed_in_every_file(place, tmp_path):
    """`examples.parquet` and others that lie beside the model are checked when they are read."""
    copy, chance = _copy(place, tmp_path), random.Random(0)
    items = write_items(tmp_path / "items.parquet", IDS)
    for name in [FEATURES, *json.loads((place / FEATURES).read_text())["files"]]:
        whole = (copy / name).read_bytes()
        for _ in range(3):
            damaged = bytearray(whole)
            damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            (copy / name).write_bytes(bytes(damaged))
            if name == "catalogue.parquet":
                with pytest.raises(ArtefactError, match=f"{name}: damaged"):
                    build(Artefact(copy), copy / name, tmp_path / "index")
                continue
            for use in (lambda: build(Artefact(copy), items, tmp_path / "index"), lambda: PreRanker(copy)):
                with pytest.raises(ArtefactError) as error:
                    use()
                assert name in str(error.value)
        (copy / name).write_bytes(whole)
    assert not (tmp_path / "index").exists()
    PreRanker(copy)


def test_every_bit_of_the_description_counts(place, tmp_path):
    path = tmp_path / FEATURES
    whole, chance = (place / FEATURES).read_bytes(), random.Random(1)
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(damaged))
        with pytest.raises(ArtefactError, match=FEATURES):
            description.read(tmp_path)
    path.write_bytes(whole)
    assert description.read(tmp_path)["model"] == "hit"


def test_an_export_of_before_is_served_with_a_warning(place, tmp_path, caplog):
    copy = _copy(place, tmp_path)
    described = json.loads((copy / FEATURES).read_text())
    del described["sha256"]
    beside = {"catalogue.parquet", "examples.parquet", "config.yaml", "metrics.json"}
    described["files"] = {
        name: entry["bytes"] for name, entry in described["files"].items() if name not in beside
    }  # what an export listed then
    (copy / FEATURES).write_text(json.dumps(described, indent=2) + "\n")
    with caplog.at_level(logging.WARNING):
        build(Artefact(copy), copy / "catalogue.parquet", tmp_path / "index")
    (line,) = [record.getMessage() for record in caplog.records]
    assert "export it again" in line
    assert len(PreRanker(copy, tmp_path / "index").top(users(1)[0], 3).ids) == 3
    file = copy / "scorer.npz"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ArtefactError, match=r"scorer\.npz: truncated"):
        Artefact(copy)


def test_an_export_cannot_pass_for_one_of_before(place, tmp_path):
    copy = _copy(place, tmp_path)
    described = json.loads((copy / FEATURES).read_text())
    del described["sha256"]
    (copy / FEATURES).write_text(json.dumps(described))
    with pytest.raises(ArtefactError, match="sha256: Field required"):
        Artefact(copy)
    described["files"]["scorer.npz"] = described["files"]["scorer.npz"]["bytes"]
    (copy / FEATURES).write_text(description.to_text(described))
    with pytest.raises(ArtefactError, match="some have a SHA-256, and some have none"):
        Artefact(copy)


def test_the_fingerprint_is_of_what_decides_the_scores(place, tmp_path):
    copy, whole = _copy(place, tmp_path), Artefact(place).fingerprint
    edit(copy, lambda described: {**described, "files": {**described["files"], "examples.parquet": ENTRY}})
    assert Artefact(copy).fingerprint == whole
    edit(copy, lambda described: {**described, "calibrated": not described["calibrated"]})
    assert Artefact(copy).fingerprint != whole


ENTRY = {"bytes": 1, "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d | {"files": d["files"] | {"../x": d["files"]["scorer.npz"]}}, "expected the path of a file"),
        (
            lambda d: d | {"files": d["files"] | {"/etc/passwd": d["files"]["scorer.npz"]}},
            "expected the path of a file",
        ),
        (
            lambda d: d | {"files": {k: v for k, v in d["files"].items() if k != "scorer.npz"}},
            "scorer.npz is not listed",
        ),
        (lambda d: d | {"format": "pickle"}, "expected the format saved_model or onnx"),
        (lambda d: d | {"model": "../x"}, "model: expected a name"),
        (lambda d: d | {"scorer": "no_such"}, "there is no such kernel"),
        (lambda d: d | {"scorer": "gate/cosine"}, "there is no such kernel or weight"),
        (lambda d: d | {"outputs": {"user_tower": {}}}, "outputs: expected all of"),
        (lambda d: d | {"inputs": d["inputs"] + d["inputs"][:1]}, "two have the same name"),
        (lambda d: d | {"inputs": [{**d["inputs"][0], "dtype": "float32"}]}, "names no input of the item|does not fit"),
    ],
)
def test_a_description_that_says_something_else_is_refused(change, message, place, tmp_path):
    copy = _copy(place, tmp_path)
    edit(copy, change)
    with pytest.raises(ArtefactError, match=message):
        Artefact(copy)


def test_a_pipe_in_place_of_a_file_does_not_hang(place, tmp_path):
    copy = _copy(place, tmp_path)
    for name in (FEATURES, "scorer.npz", "index/CURRENT", "index/v000001/heads.npy", "index/v000001/manifest.json"):
        (copy / name).rename(copy / "kept")
        os.mkfifo(copy / name)
        with pytest.raises(ArtefactError, match="regular|truncated"):
            PreRanker(copy)
        (copy / name).unlink()
        (copy / "kept").rename(copy / name)
    PreRanker(copy)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_damaged_descriptions(examples, onnx, tmp_path):
    """Of changed trees the SHA-256 is made anew, so that what is said in them is reached, down to the scores."""
    copy = _copy(onnx, tmp_path)
    items = write_items(tmp_path / "items.parquet", IDS[:4])
    whole = json.loads((copy / FEATURES).read_text())

    def dump(tree):
        return description.to_text(tree) if isinstance(tree, dict) else json.dumps(tree)

    def read(damaged):
        (copy / FEATURES).write_bytes(damaged)
        build(Artefact(copy), items, tmp_path / "index")
        PreRanker(copy, tmp_path / "index").top(users(1)[0], 2)

    survives(damaged_json(whole, dump), read, examples)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_damaged_vocabularies(examples, onnx, tmp_path):
    copy = _copy(onnx, tmp_path)
    whole = json.loads((copy / "vocabularies.json").read_text())

    def read(damaged):
        (copy / "vocabularies.json").write_bytes(damaged)
        Indexer(copy)

    survives(damaged_json(whole), read, examples)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_damaged_manifests(examples, onnx, tmp_path):
    ranker = PreRanker(_copy(onnx, tmp_path), watch=False)
    folder = tmp_path / "out" / "index"
    manifest = folder / "v000001" / "manifest.json"

    def read(damaged):
        manifest.write_bytes(damaged)
        ranker.reload()
        assert len(ranker.top(users(1)[0], 2).ids) == 2
        index.model_name(folder)

    assert index.model_name(folder) == "fit"
    survives(damaged_json(json.loads(manifest.read_text())), read, examples)


def _stored(states, name, array):
    arrays = {**states.arrays}
    if array is None:
        del arrays[name]
    else:
        arrays[name] = array
    return index.ItemStates(states.ids, arrays, states.dtype)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("heads", lambda array: None),
        (META_INDEX, lambda array: None),
        ("heads", lambda array: StoredArray(array.values[:, :, :-1].copy())),
        ("heads", lambda array: StoredArray(array.values[:-1].copy())),
        (META_INDEX, lambda array: StoredArray(array.values.astype(np.float32))),
        ("further", lambda array: StoredArray(np.zeros((1, len(IDS), 1), np.float32))),
    ],
)
def test_an_index_with_other_arrays_than_the_kernel_reads_is_refused(name, change, onnx, tmp_path, caplog):
    copy = _copy(onnx, tmp_path)
    ranker = PreRanker(copy)
    states = index.read(copy / "index", Artefact(copy).fingerprint)[1]
    with index.writing(copy / "index"):
        changed = _stored(states, name, change(states.arrays.get(name)))
        index.publish(copy / "index", changed, {"fingerprint": Artefact(copy).fingerprint})
    assert len(ranker.top(users(1)[0], 3).ids) == 3  # of the version before, which stays
    assert ranker.version == "v000001"
    assert "stays at v000001" in caplog.text
    for use in (ranker.reload, lambda: PreRanker(copy)):
        with pytest.raises(ArtefactError, match="the model reads the arrays|float32 in an index"):
            use()


def test_wrong_candidates_and_users_are_told_in_a_short_line(onnx, tmp_path, capsys):
    (tmp_path / "ids").write_text("1_0\n")
    for flags in (
        ["--user", "[" * 100_000], ["--user", '{"a": ' + "9" * 5000 + "}"], ["--user", '{"a": 1, "a": 2}'],
        ["--user", json.dumps({"x" * 100_000: 1})], ["--user", "{}", "--top", "1_0"],
        ["--user", json.dumps(users(1)[0]), "--candidates", str(tmp_path / "ids")],
    ):  # fmt: skip
        assert main(["top", "--model", str(onnx), *flags]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert len(line) <= 500


def test_external_data_is_refused(onnx, tmp_path):
    from onnx import load, numpy_helper, save

    copy = _copy(onnx, tmp_path)
    model = load(copy / "user_tower.onnx")
    assert any(numpy_helper.to_array(tensor).nbytes > 100 for tensor in model.graph.initializer)
    save(model, copy / "user_tower.onnx", save_as_external_data=True, location="weights.bin", size_threshold=100)
    assert (copy / "weights.bin").exists()

    def relist(described):
        from prerank.digests import entry

        described["files"]["user_tower.onnx"] = entry(copy / "user_tower.onnx")

    edit(copy, relist)
    with pytest.raises(ArtefactError, match=r"user_tower\.onnx: .*its weights lie in other files"):
        _ = Artefact(copy).user_tower
