"""From a run's options and its data to training batches and what is minimised on them."""

from __future__ import annotations

import functools

import numpy as np
import pyarrow.parquet as pq

import models
from models import PreRankingModel
from models.base import Objective
from preprocess.prepared import PreparedData
from prerank.errors import InputError
from training.assembly import BatchAssembly, Draws
from training.batches import Batches, mask_ids, read_columns
from training.candidates import Candidates
from training.config import Config
from training.finished_runs import epochs_on_all
from training.item_states import ItemStates
from training.list_batches import ListBatches, numbered_by_file
from training.objective import TrainingObjective
from training.objective_options import OF_DATA, OF_STAGES
from training.options import RunOptions
from training.packing import Layout
from training.row_keys import RowKeys
from training.selection import AUC
from training.tasks import partly_labelled
from training.teacher import Teacher

_DEFAULT_OOV_RATE = 0.05


def prepared_training(config: Config, data: PreparedData) -> tuple[Batches, Objective | None]:
    """The training part as `config` wants it, and what to minimise; None for the model's own loss of the rows.

    Raises:
        InputError: the data lack a column that an option needs, or a teacher cannot be used.
    """
    check(config, data)
    rated_only = data.labelled("train") == data.rows("train")
    run = config.run
    if rated_only and not run.any_is_used and not run.several and not data.spec.row_columns:
        return training_batches(config, data), None
    keys = RowKeys.read(data, run.tasks if run.several else ())
    sizes = [pq.read_metadata(path).num_rows for path in data.parts("train")]
    lists = {"request": keys.requests, "user": numbered_by_file(keys.users, sizes), None: None}[run.list_by]
    assembly = _assembly(config, data, keys, lists)
    rate, seed = oov_rate(config), run.random_seed
    batches = (
        Batches(data, "train", run.batch_size, shuffle=True, oov_rate=rate, seed=seed, assembly=assembly)
        if lists is None
        else ListBatches(data, run.batch_size, lists, keys.labels, run.list_size, assembly, oov_rate=rate, seed=seed)
    )
    unlabelled = bool(keys.unlabelled.any())
    if run.jit and (unlabelled or partly_labelled(data, run)):
        raise InputError("--jit cannot compile batches with rows without a label, whose number varies")
    stages = np.unique(keys.stages).tolist()
    if run.loss in OF_STAGES and len(stages) < 2:
        raise InputError(f"--loss {run.loss}: all training rows are of one stage, {stages[0]}")
    items = data.spec[data.spec.item_id].vocabulary_size
    return batches, TrainingObjective(run, unlabelled, stages, items)


def training_batches(config: Config, data: PreparedData) -> Batches:
    """The rows of the training part as `config` wants them shuffled and masked, one by one."""
    run = config.run
    return Batches(data, "train", run.batch_size, shuffle=True, oov_rate=oov_rate(config), seed=run.random_seed)


def oov_rate(config: Config) -> float:
    """The share of ids that are masked in training."""
    if config.run.oov_rate is not None:
        return config.run.oov_rate
    return 0.0 if "encoders" in config.data.resolved().leaks else _DEFAULT_OOV_RATE


def check(config: Config, data: PreparedData) -> None:
    """Check that model and data have what the options of the objective need.

    Raises:
        InputError: they lack it.
    """
    run, spec = config.run, data.spec
    if models.get(run.model_name).model.fit_directly is not PreRankingModel.fit_directly:
        _check_fitted_directly(run)
    if run.any_is_used and run.jit:
        raise InputError("--jit cannot compile candidates, lists or a teacher, whose number varies")
    needed = {
        "request": "--list_by request" if run.list_by == "request" else "",
        "stage": f"--loss {run.loss}" if run.loss in OF_STAGES else "",
        "teacher": "--teacher data" if OF_DATA in run.teacher else "",
    }
    if run.candidates_per_row and run.candidates_from == "request":
        needed["request"] = "--candidates_from request"
    for column, option in needed.items():
        if option and column not in spec.row_columns:
            raise InputError(f"{option}: the {spec.dataset} data have no {column} column")
    _check_timed(config, data)


def _check_fitted_directly(run: RunOptions) -> None:
    by_steps = f"--model_name {run.model_name} is not trained by gradient steps"
    if run.any_is_used:
        raise InputError(f"{by_steps}: it takes no candidates, lists or teacher")
    if run.fit_all is not None and epochs_on_all(run.fit_all, run.epoch) != 1:
        raise InputError(f"--fit_all {run.fit_all}: {by_steps}, so it has no epochs: expected 1")
    if run.select_by != AUC:
        raise InputError(f"--select_by {run.select_by}: {by_steps}, so it has no epochs to choose from")


def _check_timed(config: Config, data: PreparedData) -> None:
    run = config.run
    asked = {
        "--candidates_from popularity": run.candidates_per_row and run.candidates_from == "popularity",
        "--exposure_half_life": run.exposure_half_life,
    }
    options = [option for option, value in asked.items() if value]
    if not options:
        return
    time = data.spec.beside("timestamp")
    times = read_columns(data, "train", [time])[time]
    if times.min() == times.max():
        raise InputError(f"{options[0]}: the {data.spec.dataset} data have no time, so no row is earlier than another")


def _assembly(config: Config, data: PreparedData, keys: RowKeys, lists: np.ndarray | None) -> BatchAssembly:
    run, spec = config.run, data.spec
    draws, item_layout = None, Layout.of(spec.side("item"), spec.label)
    if run.candidates_per_row:
        states = ItemStates(data)
        candidates = Candidates(keys, states.first)
        mask = functools.partial(_mask, rate=oov_rate(config))
        draws = Draws(run.candidates_per_row, run.candidates_from, candidates, states, mask)
    teacher = Teacher.open(run.teacher, data) if run.teacher and OF_DATA not in run.teacher else None
    on_rows = None if teacher is None or run.teacher_on == "candidates" else teacher.of_training_rows()
    on_candidates = None if teacher is None or run.teacher_on == "rated" else teacher.score
    return BatchAssembly(Layout.of(spec.fields, spec.label), item_layout, keys, lists, draws, on_rows, on_candidates)


def _mask(ids: np.ndarray, layout: Layout, rng: np.random.Generator, rate: float) -> None:
    if rate:
        mask_ids(ids, layout, rate, rng)
