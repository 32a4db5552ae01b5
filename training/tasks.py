"""Several labels of the data: which of them a run learns, and by which it is judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import tensorflow as tf

from models.batch import as_batch
from models.multi_task import MultiTaskModel
from models.task_options import TaskOptions
from preprocess.prepared import PreparedData
from preprocess.splits import PARTS
from prerank.errors import InputError


def judged(data: PreparedData, options: TaskOptions) -> PreparedData:
    """The data with the label of the task that ranks in the place of the label.

    Raises:
        InputError: the data have no such label.
    """
    for task in options.tasks:
        if task not in data.spec.labels:
            known = ", ".join(data.spec.labels) or "one label without a name; a schema names several under labels"
            raise InputError(f"--tasks: the {data.spec.dataset} data have no label {task}, but {known}")
    return data if options.ranking_task is None else of_task(data, options.ranking_task)


def of_task(data: PreparedData, task: str) -> PreparedData:
    """The data with the label of a task in the place of the label; means and histories stay those of the first."""
    parts = {name: described | described["labels"][task] for name, described in data.manifest["parts"].items()}
    spec = replace(data.spec, label=data.spec.label_of(task))
    return replace(data, spec=spec, manifest=data.manifest | {"parts": parts})


def partly_labelled(data: PreparedData, options: TaskOptions) -> tuple[str, ...]:
    """Those of several tasks whose label some training rows lack."""
    found = [task for task in options.tasks if of_task(data, task).labelled("train") < data.rows(PARTS[0])]
    return tuple(found) if options.several else ()


def predicted(model: MultiTaskModel, batches: tf.data.Dataset) -> np.ndarray:
    """The log-odds (n, T) float32 of all tasks, in their order, in inference mode."""
    forward = tf.function(model.task_logits, reduce_retracing=True)
    return np.concatenate([forward(as_batch(batch).features).numpy() for batch in batches])
