"""A trained model as a SavedModel that needs nothing of this project."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from errors import InputError
from features import FeatureSpec, Side
from models import PreRankingModel, TwoTowerModel, registry
from models.scorers import ScorerSpec
from serving.layout import FEATURES, SCORER
from serving.raw_inputs import RawInputs, tensor_spec

Outputs = dict[str, tf.Tensor]


def target(directory: Path, version: int | None = None) -> Path:
    """Where an export goes, checked before anything is trained.

    Args:
        directory: what the user named.
        version: number of the sub-folder, as TensorFlow Serving reads it, or None.

    Raises:
        InputError: something lies there that is no earlier export, or the folder cannot be written.
    """
    place = directory if version is None else directory / str(version)
    if place.is_dir() and any(place.iterdir()) and not (place / FEATURES).exists():
        raise InputError("--export_dir: the folder holds something else than an export, name another", path=place)
    if place.exists() and not place.is_dir():
        raise InputError("--export_dir: expected a folder, found a file", path=place)
    parent = next(folder for folder in place.absolute().parents if folder.exists())
    if not os.access(parent, os.W_OK):
        raise InputError("--export_dir: cannot write there", path=parent)
    return place


def export(
    model: PreRankingModel, vocabularies: Mapping[str, np.ndarray], place: Path, files: Mapping[str, str | bytes | Path]
) -> None:
    """Write `model` as a SavedModel with its signatures, whole or not at all.

    The signatures are `serving_default` and, for a decoupled model, `user_tower`, `item_tower` and `score`. Inputs are
    raw values as the data set's files spell them; see `features.json` beside the model.

    Args:
        model: a trained model.
        vocabularies: values of each vocabulary of the model's feature specification, by name.
        place: the folder to make or to replace, from :func:`target`.
        files: further files by name, as text, bytes, or the path of a file to copy.

    Raises:
        InputError: the folder cannot be written.
    """
    working = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        working.parent.mkdir(parents=True, exist_ok=True)
        module, signatures = _signatures(model, vocabularies)
        tf.saved_model.save(module, str(working), signatures=signatures)
        scorer = _scorer(model)
        if scorer is not None:
            np.savez(working / SCORER, allow_pickle=False, **scorer.weights)
        sizes = {str(path.relative_to(working)): path.stat().st_size for path in _files(working)}
        described = _describe(model, signatures) | {"scorer": scorer and scorer.kind, "files": sizes}
        (working / FEATURES).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
        for name, content in files.items():
            if isinstance(content, Path):
                shutil.copyfile(content, working / name)
            else:
                (working / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        _put(working, place)
    except (OSError, tf.errors.OpError) as error:
        raise InputError(f"--export_dir: cannot write the export: {error}", path=place) from error
    finally:
        shutil.rmtree(working, ignore_errors=True)


def _put(working: Path, place: Path) -> None:
    replaced = place.with_name(f".{place.name}.{os.getpid()}.old")
    if place.exists():
        place.rename(replaced)
    working.rename(place)
    shutil.rmtree(replaced, ignore_errors=True)


def _signatures(
    model: PreRankingModel, vocabularies: Mapping[str, np.ndarray]
) -> tuple[tf.Module, dict[str, Callable[..., Outputs]]]:
    """The module to save, which holds every resource that the signatures use, and the signatures."""
    spec = model.spec
    module = tf.Module()
    # The variables alone: Keras would otherwise save its layers' own traces too.
    module.weights = list(model.variables)
    module.raw_inputs = raw_inputs = RawInputs(spec, vocabularies)

    def forward(**raw: tf.Tensor) -> Outputs:
        return _answer(model(raw_inputs.encode(raw), training=False))

    signatures = {"serving_default": _trace(forward, [tensor_spec(field) for field in spec.fields])}
    if isinstance(model, TwoTowerModel):
        signatures["user_tower"] = _trace_tower(model.user_tower, raw_inputs, spec, "user")
        signatures["item_tower"] = _trace_tower(model.item_tower, raw_inputs, spec, "item")
        states = {**signatures["user_tower"].structured_outputs, **signatures["item_tower"].structured_outputs}

        def score(**state: tf.Tensor) -> Outputs:
            user = {name: state[name] for name in model.user_state}
            return _answer(model.score(user, {name: state[name] for name in model.item_state}))

        specs = [tf.TensorSpec([None, *value.shape[1:]], value.dtype, name=name) for name, value in states.items()]
        signatures["score"] = _trace(score, specs)
    return module, signatures


def _trace_tower(tower: Callable[..., Outputs], raw_inputs: RawInputs, spec: FeatureSpec, side: Side):
    def encode(**raw: tf.Tensor) -> Outputs:
        state = tower(raw_inputs.encode(raw))
        return {name: tf.cast(value, tf.float32) if value.dtype.is_floating else value for name, value in state.items()}

    return _trace(encode, [tensor_spec(field) for field in spec.side(side)])


def _trace(function: Callable[..., Outputs], specs: list[tf.TensorSpec]):
    return tf.function(function).get_concrete_function(**{spec.name: spec for spec in specs})


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _scorer(model: PreRankingModel) -> ScorerSpec | None:
    """The formula of `score` with all its numbers, the bias included."""
    spec = model.scorer_spec() if isinstance(model, TwoTowerModel) else None
    return None if spec is None else replace(spec, weights={**spec.weights, "bias": model.bias.numpy()})


def _answer(logit: tf.Tensor) -> Outputs:
    logit = tf.reshape(tf.cast(logit, tf.float32), [-1])
    return {"logit": logit, "probability": tf.sigmoid(logit)}


def _describe(model: PreRankingModel, signatures: Mapping[str, Any]) -> dict[str, Any]:
    """What `features.json` holds: every input, and the specification that the model was built from."""
    inputs = []
    for field in model.spec.fields:
        described: dict[str, Any] = {
            "name": field.name,
            "side": field.side,
            "kind": field.kind,
            "dtype": field.raw_type,
            "shape": list(tensor_spec(field).shape),
        }
        if field.kind == "dense":
            described |= {"missing": "NaN", "default": field.default}
        else:
            missing = "" if field.raw_type == "string" else -1
            described |= {"missing": missing, "vocabulary": field.vocabulary, "vocabulary_size": field.vocabulary_size}
        if field.kind == "sequence":
            described |= {
                "trained_length": field.max_length,
                "order": "oldest first, padded on the right",
                "default": [],
            }
        inputs.append(described)
    outputs = {
        name: {key: list(value.shape) for key, value in signature.structured_outputs.items()}
        for name, signature in signatures.items()
    }
    return {
        "model": model.name,
        "calibrated": registry.get(model.name).calibrated,
        "inputs": inputs,
        "outputs": outputs,
        "specification": model.spec.to_dict(),
    }
