"""Read an item index and answer from it with NumPy only: what a service in Java, Go or any other language has to do.

`python examples/read_index.py out/shop` after `examples/own_data.py`. docs/formats.md explains the files byte by byte.
"""

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np


def read_npy(content: bytes) -> np.ndarray:
    """An array of a `.npy` file: magic, header, and the numbers themselves."""
    assert content[:6] == b"\x93NUMPY", "not an .npy file"
    wide = content[6] > 1  # the major version: from 2 on the header's length has 4 bytes
    start = 12 if wide else 10
    length = int.from_bytes(content[8:start], "little")
    header = content[start : start + length].decode("latin1")
    part = lambda key, stop: header.split(f"'{key}': ")[1].split(stop)[0]  # noqa: E731
    shape = tuple(int(size) for size in part("shape", ")").strip("(").split(",") if size.strip())
    assert part("fortran_order", ",") == "False", "the last axis varies fastest"
    return np.frombuffer(content[start + length :], part("descr", ",").strip("'")).reshape(shape)


def read_index(folder: Path) -> dict[str, Any]:
    """The current version of an index.

    Returns:
        `version`; `ids` (N,); `arrays` (parts, N, width) by name; `attributes` by name: their `values` (K,) and `codes`
        (N,), or of lists `codes` (M,) and `offsets` (N + 1,); `live` (N,) bool, which items have not been taken out.
    """
    version = (folder / "CURRENT").read_text().strip()
    place = folder / version
    manifest = json.loads((place / "manifest.json").read_text())
    assert manifest["format"] in (2, 3), "another format: build the index again"

    def load(name: str) -> np.ndarray:
        content = (place / name).read_bytes()
        assert len(content) == manifest["files"][name]["bytes"], f"{name} is truncated"
        return read_npy(content)

    ids, arrays = load("ids.npy"), {}
    for name in manifest["arrays"]:
        values = load(f"{name}.npy")
        if values.dtype == np.int8:  # each vector has a scale of its own
            values = values * load(f"{name}.scales.npy")
        arrays[name] = values.astype(np.float32) if values.dtype.kind == "f" else values
    attributes = {}
    for name, entry in manifest.get("attributes", {}).items():
        parts = ("values", "codes", "offsets") if entry["lists"] else ("values", "codes")
        attributes[name] = {part: load(f"attribute.{name}.{part}.npy") for part in parts}
    live = np.ones(len(ids), bool)
    if manifest.get("removed"):
        live[load("removed.npy")] = False
    return {"version": version, "ids": ids, "arrays": arrays, "attributes": attributes, "live": live}


def read_scorer(model: Path) -> tuple[str, dict[str, np.ndarray]]:
    """The kind of a model's scorer, and its weights: a zip file of `.npy` files, not compressed."""
    kind = json.loads((model / "features.json").read_text())["scorer"]
    with zipfile.ZipFile(model / "scorer.npz") as archive:
        return kind, {name.removesuffix(".npy"): read_npy(archive.read(name)) for name in archive.namelist()}


def score(kind: str, weights: dict[str, np.ndarray], user: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Logits (N,) of a user (D,) and of items (N, D), for the scorers of one vector a side."""
    if kind == "cosine":  # the index has items at length 1
        user = user / max(float(np.sqrt(user @ user)), 1e-3)
    elif kind != "dot":
        raise ValueError(f"this reader has the scorers cosine and dot. Received: {kind}")
    return vectors @ (user * weights["scale"]) + weights["bias"]


def top(model: Path, user: np.ndarray, n: int) -> list[tuple[Any, float]]:
    """The best items and their logits for a user's state (D,), as `user_tower.onnx` gives it."""
    index, (kind, weights) = read_index(model / "index"), read_scorer(model)
    logits = score(kind, weights, user.astype(np.float32), index["arrays"]["vectors"][0])
    logits[~index["live"]] = -np.inf
    best = np.argsort(-logits, kind="stable")[: min(n, int(index["live"].sum()))]
    return [(index["ids"][place].item(), float(logits[place])) for place in best]


def main(model: str = "out/shop") -> None:
    """Print what an index holds, and the best items for a made-up user."""
    index = read_index(Path(model) / "index")
    print(f"{index['version']}: {index['live'].sum()} items, {', '.join(index['arrays'])}")
    width = index["arrays"]["vectors"].shape[2]
    for item, logit in top(Path(model), np.ones(width, np.float32), 3):
        print(f"{item}\t{logit:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
