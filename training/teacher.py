"""Finished runs as teachers: the mean of their logits."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf
from pydantic import ValidationError

import models
from features import FeatureSpec
from models import PreRankingModel
from models.exposure_options import ExposureOptions
from models.task_options import TaskOptions
from preprocess.prepared import PreparedData
from preprocess.yaml_files import read_yaml
from prerank import folders
from prerank.errors import InputError
from prerank.reading import problem
from training.finished_runs import WEIGHTS, by_identity, finished_metrics
from training.options import RunOptions
from training.packing import Layout
from training.spec import seen

_FLAG = "--teacher"
_BATCH = 8192


class Teacher:
    """Frozen models of finished runs; what they say is the mean of their logits.

    Args:
        found: the models, each by what tells its run from others.
        data: the data on which they were trained, and on which they teach.
    """

    def __init__(self, found: Mapping[str, PreRankingModel], data: PreparedData):
        self._models = dict(found)
        self._data = data
        self._pairs = [tf.function(_pairs(model), reduce_retracing=True) for model in self._models.values()]

    @classmethod
    def open(cls, runs: Sequence[str], data: PreparedData) -> Teacher:
        """The teachers whose folders `runs` name, whose order does not matter.

        Raises:
            InputError: a folder holds no finished run, its run was on other data, or its weights cannot be read; or two
                folders hold the same run.
        """
        found = {}
        for identity, folder in by_identity(runs, _FLAG).items():
            fingerprint = finished_metrics(folder, _FLAG)["data_fingerprint"]
            if fingerprint != data.fingerprint:
                raise InputError(
                    f"{_FLAG}: the run was on other data: fingerprint {data.fingerprint} expected. "
                    f"Received: {fingerprint}",
                    path=folder,
                )
            found[identity] = trained_model(folder, data.spec, _FLAG)
        return cls(found, data)

    def score(self, features: Mapping[str, np.ndarray], users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Logits (P,) float32 of pairs.

        Args:
            features: by name, of the user's side (U, ...) and of the item's side (I, ...).
            users: int (P,), the places of the pairs' users among U.
            items: int (P,), the places of the pairs' items among I.
        """
        inputs = {name: tf.constant(value) for name, value in features.items()}
        places = [tf.constant(part, tf.int32) for part in (users, items)]
        return np.mean([score(inputs, *places).numpy() for score in self._pairs], axis=0)

    def of_training_rows(self) -> np.ndarray:
        """Logits (n,) float32 of the rows of the training part, in the order of its files.

        Those of each model and file are kept in a file beside the prepared data, so they are computed once. A killed
        process leaves the files that it has written whole, and the next one goes on with the others.

        Raises:
            InputError: they cannot be written.
        """
        found = [self._kept(identity, model) for identity, model in self._models.items()]
        return np.mean(found, axis=0)

    def _kept(self, identity: str, model: PreRankingModel) -> np.ndarray:
        name = hashlib.sha256(f"{identity} {self._data.fingerprint}".encode()).hexdigest()[:16]
        folder = self._data.path.with_name(f"{self._data.path.name}-teacher-{name}")
        parts = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with folders.holding(folder, lambda _: None):
                for path in self._data.parts("train"):
                    parts.append(self._of_file(model, path, folder / f"{path.stem}.npy"))
        except OSError as error:
            raise InputError(f"{_FLAG}: cannot keep the teacher's logits: {error}", path=folder) from error
        return np.concatenate(parts)

    def _of_file(self, model: PreRankingModel, path: Path, place: Path) -> np.ndarray:
        rows = pq.read_metadata(path).num_rows
        kept = _read(place)
        if kept is not None and kept.shape == (rows,) and kept.dtype == np.float32:
            return kept
        logits = self._computed(model, path)
        content = io.BytesIO()
        np.save(content, logits, allow_pickle=False)
        folders.write_bytes(place, content.getvalue())
        return logits

    def _computed(self, model: PreRankingModel, path: Path) -> np.ndarray:
        spec = self._data.spec
        layout = Layout.of(spec.fields, spec.label)
        integers, floats = layout.pack(pq.read_table(path, columns=[*layout.names, layout.label]))
        forward = tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)
        parts = []
        for start in range(0, len(floats), _BATCH):
            fields = layout.fields(integers[start : start + _BATCH], floats[start : start + _BATCH])
            parts.append(forward({name: tf.constant(value) for name, value in fields.items()}).numpy())
        return np.concatenate(parts).astype(np.float32)


def _read(place: Path) -> np.ndarray | None:
    """What is kept at a place; None if there is nothing, or nothing that can be read."""
    try:
        return np.load(place, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None


def _pairs(model: PreRankingModel):
    def score(inputs, users, items):
        return model.scored(inputs, users, items, training=False).logits

    return score


def trained_model(folder: Path, spec: FeatureSpec, option: str) -> PreRankingModel:
    """The model of a finished run with its weights.

    Args:
        folder: the run's.
        spec: that of its data.
        option: the flag that names it.

    Raises:
        InputError: its configuration or its weights cannot be read; names the file.
    """
    config = folder / "config.yaml"
    values = read_yaml(config, option)
    name = values.get("model_name")
    if not isinstance(name, str):
        raise InputError(f"{option}: expected a model_name", path=config)
    try:
        for key in ("random_seed", "with_privileged"):
            if key in values:
                _check(key, values[key])
        model = model_of(name, values, spec, values.get("random_seed", 0))
    except ValidationError as error:
        raise InputError(f"{option}: {problem(error, values)}", path=config) from error
    except ValueError as error:
        raise InputError(f"{option}: {error}", path=config) from error
    try:
        model.load_trained(folder / WEIGHTS)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{option}: the run's weights cannot be read: {error}", path=folder / WEIGHTS) from error
    return model


def _check(key: str, value: Any) -> None:
    try:
        RunOptions.check_option(key, value)
    except ValidationError as error:
        raise ValueError(f"{key}: {problem(error, None)}") from error
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def model_of(name: str, config: Mapping[str, Any], spec: FeatureSpec, seed: int) -> PreRankingModel:
    """The model of a run, its weights new.

    Args:
        name: of the model.
        config: the run's options by name.
        spec: that of its data.
        seed: of the run.

    Raises:
        ValueError: an option has a value that is not allowed, or the model cannot be made of the data.
    """
    options = {key: value for key, value in config.items() if key in models.get(name).options.model_fields}
    exposure = {key: config[key] for key in ExposureOptions.model_fields if key in config}
    fields = seen(spec, bool(config.get("with_privileged")))
    tasks = TaskOptions(**{key: config[key] for key in TaskOptions.model_fields if key in config})
    return models.build(name, fields, options, seed=seed, entire_space=ExposureOptions(**exposure), tasks=tasks)
