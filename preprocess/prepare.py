"""Prepares a data set once, and finds it again when the same is asked for."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from preprocess import generated, samples, writing
from preprocess.dataset import Adapter
from preprocess.engines import Engine, engine_class
from preprocess.options import DataOptions, ResolvedOptions, without_added
from preprocess.prepared import FORMAT_VERSION, MANIFEST, PreparedData
from preprocess.propensity import to_json
from preprocess.raw import RawFile
from preprocess.sequences import laid_out
from preprocess.splits import PARTS
from prerank import folders
from prerank.errors import InputError
from prerank.locks import LOCK, locked

Report = Callable[[str], object]


def prepare(dataset: Adapter, options: DataOptions, report: Report = print) -> PreparedData:
    """Raw files to leak-free features on disk, reused if the same bytes and options were prepared before.

    Args:
        dataset: reads the raw files, e.g. :data:`preprocess.movielens.ADAPTER`. Generated files give a data set of
            another name (:mod:`preprocess.generated`).
        options: which files and which rules; `data_path` is needed.
        report: takes a line about each step.

    Raises:
        InputError: raw files are missing or wrong, a part would be empty, or the disk is full. Nothing is left behind.
    """
    if options.data_path is None:
        raise InputError("--data_path is needed: the folder or file with the raw data")
    dataset = options.adapter(dataset)
    found = dataset.find(options.data_path)
    dataset = generated.named(dataset, found.values())
    files = {role: RawFile.inspect(path) for role, path in sorted(found.items())}
    resolved = options.resolved()
    described = _described(dataset, files, resolved)
    folder = options.prepared_dir / dataset.name / described["fingerprint"]
    try:
        # One at a time prepares a data set, as it takes much memory and disk.
        with locked(folder.parent / LOCK, report):
            folders.sweep(folder.parent)
            if folder.exists():
                try:
                    prepared = PreparedData.open(folder)
                    report(f"reusing {folder}")
                    for note in prepared.manifest["notes"]:
                        report(note)
                    return prepared
                except InputError as error:
                    report(f"preparing again: {error}")
                    folders.discard(folder)
            _write(dataset, files, options, described, folder, report)
            return PreparedData.open(folder)
    except engine_class(options.engine).RESOURCE_ERRORS as error:
        raise InputError(f"cannot write: {str(error).splitlines()[0]}", path=options.prepared_dir) from error


def _described(dataset: Adapter, files: Mapping[str, RawFile], options: ResolvedOptions) -> dict[str, Any]:
    """What a prepared data set depends on, and the fingerprint of it."""
    depends = {
        "format_version": dataset.samples_version,
        "dataset": dataset.name,
        "raw_files": {
            role: {"name": file.path.name, "sha256": file.sha256, "bytes": file.bytes} for role, file in files.items()
        },
        "options": without_added(options.to_dict()),
    }
    digest = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()
    described = {"format_version": FORMAT_VERSION, "options": options.to_dict(), "fingerprint": digest[:16]}
    return depends | described


def _write(
    dataset: Adapter,
    files: Mapping[str, RawFile],
    asked: DataOptions,
    described: dict[str, Any],
    folder: Path,
    report: Report,
) -> None:
    options = asked.resolved()
    started = time.monotonic()
    with folders.replacing(folder) as unfinished:
        spill = unfinished / "spill"
        spill.mkdir()
        with asked.open_engine(spill) as engine:
            report(f"reading {', '.join(file.path.name for file in files.values())}")
            raw = dataset.read(engine, files, options)
            for note in raw.notes:
                report(note)
            report(f"preparing {dataset.name}: {options.protocol}, split {options.split}, state {options.state}")
            manifest = described | {"notes": list(raw.notes)}
            manifest |= _write_samples(engine, samples.build(engine, raw, options), options, unfinished, report)
        if spill.exists():
            spill.rmdir()
        (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")
    sizes = {part: manifest["parts"][part]["rows"] for part in PARTS}
    rows = ", ".join(f"{part} {size:,}" for part, size in sizes.items() if size)
    report(f"prepared {rows} rows in {time.monotonic() - started:.1f} s: {folder}")


def _write_samples(
    engine: Engine, built: samples.Samples, options: ResolvedOptions, folder: Path, report: Report
) -> dict[str, Any]:
    """Write every file but the manifest, and return what the manifest says about them."""
    report("writing the parts")
    with ExitStack() as stack:
        stores = [stack.enter_context(laid_out(engine, found, folder / found.name)) for found in built.sequences]
        files = {
            name: writing.write_part(engine, built, stores, place, folder / name) for place, name in enumerate(PARTS)
        }
    leaked = "scaler" in options.leaks and options.split != "none"
    spec = writing.scaled(built.spec, files["test" if leaked else "train"])
    (folder / "vocabularies").mkdir()
    for name, known in built.vocabularies.items():
        values = known.values.order_by("index").select("value")
        writing.write_table(engine, values, folder / "vocabularies" / f"{name}.parquet")
    writing.write_table(engine, built.catalogue, folder / "catalogue.parquet")
    looked_at = {"propensity": to_json(built.propensity)} if built.propensity else {}
    return looked_at | {
        "spec": spec.to_dict(),
        "training_mean_label": built.training_mean_label,
        "parts": writing.measure(spec, files),
        "out_of_vocabulary": writing.out_of_vocabulary(spec, files["test"]),
    }
