"""Fingerprints go by what files hold, not by how large they are."""

import hashlib

import pytest

from prerank import digests
from prerank.errors import ArtefactError
from prerank.layout import FEATURES, UNDECISIVE

FILES = {"model.onnx": b"weights-1", "vocabularies.json": b"[1, 2]"}


def described(folder, files, **others):
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / FEATURES).write_text("{}")
    entries = {n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in files.items()}
    return {"format": "onnx", "sha256": "of the description", "files": entries, **others}


def fingerprint(folder, files=FILES, **others):
    return digests.fingerprint(folder, described(folder, files, **others))


@pytest.mark.parametrize("name", FILES)
def test_one_other_byte_gives_another_fingerprint(name, tmp_path):
    first = fingerprint(tmp_path)
    changed = FILES | {name: FILES[name].replace(b"1", b"2", 1)}
    assert len(changed[name]) == len(FILES[name])
    assert fingerprint(tmp_path, changed) != first
    assert fingerprint(tmp_path) == first


def test_the_description_counts_and_what_lies_beside_does_not(tmp_path):
    first = fingerprint(tmp_path)
    assert fingerprint(tmp_path, format="saved_model") != first
    assert fingerprint(tmp_path, **{"scorer": "dot"}) != first
    for name in sorted(UNDECISIVE):
        assert fingerprint(tmp_path, FILES | {name: b"anything"}) == first


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_same_size_that_was_changed_afterwards_is_damaged(name, tmp_path):
    whole = described(tmp_path, FILES)
    (tmp_path / name).write_bytes(FILES[name][::-1])
    with pytest.raises(ArtefactError, match="its SHA-256 is not that of the export"):
        digests.fingerprint(tmp_path, whole)
    (tmp_path / name).write_bytes(FILES[name] + b" ")
    with pytest.raises(ArtefactError, match=f"truncated: {len(FILES[name])} bytes expected"):
        digests.fingerprint(tmp_path, whole)


def test_an_older_export_has_the_fingerprint_of_its_files(tmp_path, caplog):
    whole = described(tmp_path, FILES)
    older = {"format": "onnx", "files": {name: entry["bytes"] for name, entry in whole["files"].items()}}
    first = digests.fingerprint(tmp_path, older)
    assert "exported without SHA-256" in caplog.text
    (tmp_path / "model.onnx").write_bytes(FILES["model.onnx"][::-1])
    assert digests.fingerprint(tmp_path, older) != first
