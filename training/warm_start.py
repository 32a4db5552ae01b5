"""Begins a training with the weights of a finished run on earlier data, whose vocabularies were others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from features import RESERVED, FeatureSpec, Field
from layers import FieldEmbedding
from models import PreRankingModel
from preprocess.prepared import PreparedData
from prerank.errors import InputError
from training.earlier import FLAG, earlier_data
from training.finished_runs import WEIGHTS, finished_metrics
from training.moments import Moments
from training.options import RunOptions
from training.spec import seen
from training.teacher import trained_model

_RECOMPUTED = "log_popularity"
"""A weight that is counted from the data before every training."""


def scaled_as_before(data: PreparedData, run: RunOptions) -> PreparedData:
    """The data, with the numbers' scaling of the run that training begins from, so that its weights fit.

    Raises:
        InputError: the run, or the data that it was trained on, cannot be read, or had another field.
    """
    if run.init_from is None:
        return data
    before = earlier_data(run.init_from).spec
    known = {field.name: field for field in before.fields}
    if differing := sorted(_shape(data.spec) ^ _shape(before)):
        message = f"{FLAG}: the run was of other fields: {differing[0][0]!r} is in one of both only, or of another kind"
        raise InputError(message, path=run.init_from)
    fields = tuple(
        replace(field, mean=known[field.name].mean, scale=known[field.name].scale) if field.kind == "dense" else field
        for field in data.spec.fields
    )
    return replace(data, spec=replace(data.spec, fields=fields))


def _shape(spec: FeatureSpec) -> set[tuple[str, ...]]:
    return {(field.name, field.side, field.kind, field.raw_type, field.vocabulary) for field in spec.fields}


@dataclass(frozen=True)
class Beginning:
    """A finished run that a training begins from.

    Attributes:
        trained: its model.
        moments: its optimizer's, or None.
        rows: where the ids lie that both data sets know.
        folder: of the run.
    """

    trained: PreRankingModel
    moments: Moments | None
    rows: "_Rows"
    folder: Path

    @classmethod
    def open(cls, model: PreRankingModel, data: PreparedData, run: RunOptions) -> "Beginning | None":
        """The run that `--init_from` names; None without.

        Args:
            model: new, for the specification of `data`.
            data: what it will be trained on.
            run: names the run.

        Raises:
            InputError: the run cannot be read, or is of another model.
        """
        if run.init_from is None:
            return None
        before = earlier_data(run.init_from)
        name = finished_metrics(run.init_from, FLAG)["model"]
        if name != model.name:
            raise InputError(f"{FLAG}: expected a run of {model.name}. Received: one of {name}", path=run.init_from)
        trained = trained_model(run.init_from, seen(before.spec, run.with_privileged), FLAG)
        moments = Moments.read(run.init_from / WEIGHTS, trained.trainable_weights, FLAG)
        return cls(trained, moments, _Rows(before, data), run.init_from)

    def give_weights(self, model: PreRankingModel) -> None:
        """Give a new model the run's weights. Ids that the run did not know keep their fresh rows.

        Raises:
            InputError: a weight has another shape, or the run's model has others, as one of other tasks has.
        """
        if (before := len(self.trained.weights)) != (now := len(model.weights)):
            message = f"expected a run with the same options of model and tasks: {now} weights. Received: {before}"
            raise InputError(f"{FLAG}: {message}", path=self.folder)
        tables = self._tables(model)
        for old, new in zip(self.trained.weights, model.weights, strict=True):
            if id(new) in tables and old.shape[1:] == new.shape[1:]:
                new.assign(self.rows.moved(old.numpy(), new.numpy(), *tables[id(new)]))
            elif old.shape == new.shape:
                new.assign(old)
            elif _RECOMPUTED not in new.name:
                shapes = f"{tuple(new.shape)} expected. Received: {tuple(old.shape)}"
                raise InputError(f"{FLAG}: the weight {new.name} has another shape: {shapes}", path=self.folder)

    def give_moments(self, model: PreRankingModel, optimizer: tf.keras.optimizers.Optimizer) -> None:
        """Let the optimizer of a model with the run's weights go on; the moments of new ids are 0."""
        if self.moments is None:
            return
        tables = self._tables(model)

        def moved(values: Sequence[np.ndarray]) -> list[np.ndarray]:
            return [
                self.rows.moved(value, np.zeros(new.shape, value.dtype), *tables[id(new)])
                if id(new) in tables
                else value
                for value, new in zip(values, model.trainable_weights, strict=True)
            ]

        Moments(self.moments.iterations, moved(self.moments.first), moved(self.moments.second)).give(optimizer)

    def _tables(self, model: PreRankingModel) -> dict[int, tuple[Mapping[str, int], Mapping[str, int]]]:
        """The rows of each vocabulary, before and now, of each table of embeddings, by the id of its variable."""
        pairs = zip(_embeddings(self.trained), _embeddings(model), strict=True)
        return {id(new.table): (old.rows, new.rows) for old, new in pairs}


def _embeddings(model: PreRankingModel) -> list[FieldEmbedding]:
    return [layer for layer in model.submodules if isinstance(layer, FieldEmbedding)]


class _Rows:
    """Where the ids of one prepared data set lie in the vocabularies of another."""

    def __init__(self, before: PreparedData, now: PreparedData):
        self._before, self._now = before, now
        self._fields: Mapping[str, Field] = {field.vocabulary: field for field in now.spec.fields if field.vocabulary}
        self._hashed = {field.vocabulary for field in before.spec.fields if field.hash_buckets}

    def moved(
        self, old: np.ndarray, new: np.ndarray, old_rows: Mapping[str, int], new_rows: Mapping[str, int]
    ) -> np.ndarray:
        """A table (R, E) with the earlier rows of all ids that both know, and its own of the others.

        Args:
            old: the earlier table: the vocabularies one after another.
            new: the fresh one.
            old_rows: rows of each vocabulary in `old`, in order.
            new_rows: the same of `new`.
        """
        found, starts = new.copy(), dict(zip(old_rows, np.cumsum([0, *old_rows.values()]), strict=False))
        start = 0
        for name, size in new_rows.items():
            if name in old_rows:
                here, there = self._pairs(name, size, old_rows[name])
                found[start + here] = old[starts[name] + there]
            start += size
        return found

    def _pairs(self, name: str, size: int, old_size: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the same values in the new vocabulary and in the old one."""
        field = self._fields.get(name)
        hashed = bool(field and field.hash_buckets)
        reserved = np.arange(RESERVED)
        if hashed or name in self._hashed:
            same = np.arange(size) if hashed and name in self._hashed and size == old_size else reserved
            return same, same
        places = {value: place for place, value in enumerate(self._before.vocabulary(name).tolist(), RESERVED)}
        pairs = [
            (place, places[value])
            for place, value in enumerate(self._now.vocabulary(name).tolist(), RESERVED)
            if value in places
        ]
        here, there = np.array(pairs, np.int64).reshape(-1, 2).T
        return np.concatenate([reserved, here]), np.concatenate([reserved, there])
