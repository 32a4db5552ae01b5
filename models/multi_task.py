"""One score for each of several tasks, from shared embeddings."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from features import FeatureSpec
from models import registry
from models.base import PreRankingModel, ReadColumns, Scored, State, TwoTowerModel
from models.inputs import FeatureEncoder, Inputs, paired
from models.scorers import ScorerSpec
from models.task_options import TaskOptions
from prerank.errors import InputError

_LOGITS = "logits"


class MultiTaskModel(PreRankingModel):
    """A model for each task, all with the same embedding tables.

    So users and items have a state for each task, as in ESMM (Ma et al., SIGIR 2018). With `esmm` every task includes
    the next, as clicks include orders. Then the model of a later task gives `p(order | click)`, and the task's
    probability is the product `p(click) · p(order | click)`. All rows train it, those without a click too, so that it
    holds for all that is shown, and not for what was clicked only.

    `logit_<task>` is the log-odds of `probability_<task>`, with `esmm` too. The task that ranks gives `logit`.

    Args:
        inner: a new model for each task, in the order of the tasks. This model takes the specification, options, seed
            and name of the first, and all take its encoder.
        tasks: options of the tasks.

    Attributes:
        task_options: options of the tasks.
        partly_labelled: tasks whose label some rows lack. Such rows do not count for them.
    """

    trains_bias = None

    def __init__(self, inner: Sequence[PreRankingModel], tasks: TaskOptions):
        first = inner[0]
        super().__init__(first.spec, first.options, seed=first.seed, xla=first.xla, name=first.name)
        for other in inner[1:]:
            other.encoder = first.encoder
        self.task_options = tasks
        self.partly_labelled: tuple[str, ...] = ()
        self.inner = list(inner)
        self.bias = inner[tasks.tasks.index(self.ranking_task)].bias

    @property
    def ranking_task(self) -> str:
        """The task whose logit ranks."""
        assert self.task_options.ranking_task is not None  # there are tasks
        return self.task_options.ranking_task

    @property
    def of_tasks(self) -> dict[str, PreRankingModel]:
        """The models by task."""
        return dict(zip(self.task_options.tasks, self.inner, strict=True))

    def get_config(self) -> dict[str, Any]:
        return {**self.inner[0].get_config(), "tasks": self.task_options.model_dump(mode="json")}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "PreRankingModel":
        tasks = TaskOptions(**config["tasks"])
        model = registry.get(config["name"]).model
        of_inner = {name: value for name, value in config.items() if name != "tasks"}
        return cls([model.from_config(of_inner | _task(place)) for place in range(len(tasks.tasks))], tasks)

    @property
    def encoder(self) -> FeatureEncoder:  # type: ignore[override]
        """That of all tasks, whose look-ups are planned ahead."""
        return self.inner[0].encoder

    def call(self, inputs: Inputs, training: bool | None = None) -> tf.Tensor:
        return self._named([model(inputs, training) for model in self.inner])["logit"]

    def named_outputs(self, inputs: Inputs) -> dict[str, tf.Tensor]:
        return self._named([model.preference(inputs) for model in self.inner])

    def task_logits(self, inputs: Inputs) -> tf.Tensor:
        """The log-odds (B, T) float32 of the tasks, in their order, in inference mode."""
        return tf.stack(self._chained([model.preference(inputs) for model in self.inner]), axis=1)

    def _chained(self, logits: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """The log-odds (B,) of each task, of what its model gives."""
        return chained(logits) if self.task_options.esmm else list(logits)

    def _named(self, logits: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
        by_task = dict(zip(self.task_options.tasks, self._chained(logits), strict=True))
        found = {"logit": by_task[self.ranking_task], "probability": tf.sigmoid(by_task[self.ranking_task])}
        for task, logit in by_task.items():
            found |= {f"logit_{task}": logit, f"probability_{task}": tf.sigmoid(logit)}
        return found

    def described_tasks(self) -> list[dict[str, Any]]:
        """What `features.json` says of the outputs of each task."""
        log_odds = registry.get(self.name).calibrated
        return [
            {
                "name": task,
                "logit": f"logit_{task}",
                "probability": f"probability_{task}",
                "log_odds": log_odds,
                "ranks": task == self.ranking_task,
            }
            for task in self.task_options.tasks
        ]

    def scored(
        self,
        inputs: Inputs,
        users: tf.Tensor | None = None,
        items: tf.Tensor | None = None,
        training: bool = True,
    ) -> Scored:
        """As for every model, by the task that ranks; beside it are all that the tasks' models give."""
        user: State = {}
        item: State = {}
        given = []
        for task, model in self.of_tasks.items():
            found = model.scored(inputs, users, items, training)
            given.append(found.logits)
            user |= {f"{task}/{name}": value for name, value in found.user.items()}
            item |= {f"{task}/{name}": value for name, value in found.item.items()}
        logits = self._chained(given)
        user |= {f"{task}/{_LOGITS}": logit for task, logit in zip(self.task_options.tasks, logits, strict=True)}
        return Scored(user[f"{self.ranking_task}/{_LOGITS}"], user, item)

    def row_losses(
        self, inputs: Inputs, labels: tf.Tensor, scored: Scored, weights: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """The losses of all tasks, each by its weight.

        Args:
            inputs: the features of the rows.
            labels: (B, T), 0 or 1, in the order of the tasks; NaN for a row that does not count for a task.
            scored: what :meth:`scored` gives of the rows.
            weights: (B,), of the rows; None for 1 each.
        """
        terms: dict[str, tf.Tensor] = {}
        shares = self.task_options.task_weights or [1.0] * len(self.inner)
        for place, (task, model) in enumerate(self.of_tasks.items()):
            states = (_of(task, scored.user), _of(task, scored.item))
            rows = (inputs, labels[:, place], Scored(states[0].pop(_LOGITS), *states), weights)
            if task in self.partly_labelled:
                rows = _labelled(model, *rows)
            found = model.row_losses(*rows)
            terms |= {f"{name}_{task}": shares[place] * term for name, term in found.items()}
        return terms

    def prepare(self, read: ReadColumns) -> None:
        for task, model in self.of_tasks.items():
            model.prepare(_of_label(read, self.spec, task))

    def plan_training(self, epochs: int, steps: int) -> None:
        for model in self.inner:
            model.plan_training(epochs, steps)

    def may_stop(self) -> bool:
        return all(model.may_stop() for model in self.inner)

    def diagnostics(self, batches: tf.data.Dataset) -> dict[str, float]:
        found = {task: model.diagnostics(batches) for task, model in self.of_tasks.items()}
        return {f"{name}_{task}": value for task, values in found.items() for name, value in values.items()}


class MultiTaskTwoTower(MultiTaskModel, TwoTowerModel):
    """Several tasks of a decoupled model: the states of a side are those of all tasks."""

    inner: list[TwoTowerModel]  # type: ignore[assignment]

    def __init__(self, inner: Sequence[TwoTowerModel], tasks: TaskOptions):
        super().__init__(inner, tasks)
        self.user_state = tuple(f"{name}_{task}" for task in tasks.tasks for name in inner[0].user_state)
        self.item_state = tuple(f"{name}_{task}" for task in tasks.tasks for name in inner[0].item_state)

    def encode_user(self, inputs: Inputs, training: bool | None = None) -> State:
        return self._encoded(lambda model: model.encode_user(inputs, training))

    def encode_item(self, inputs: Inputs, training: bool | None = None) -> State:
        return self._encoded(lambda model: model.encode_item(inputs, training))

    def _encoded(self, encode: Callable[[TwoTowerModel], State]) -> State:
        tasks = self.task_options.tasks
        found = ((task, encode(model)) for task, model in zip(tasks, self.inner, strict=True))
        return {f"{name}_{task}": value for task, state in found for name, value in state.items()}

    def score(self, user: State, item: State) -> tf.Tensor:
        return self.named_scores(user, item)["logit"]

    def named_scores(self, user: State, item: State) -> dict[str, tf.Tensor]:
        logits = []
        for task, model in zip(self.task_options.tasks, self.inner, strict=True):
            of_user = {name: user[f"{name}_{task}"] for name in model.user_state}
            logits.append(model.score(of_user, {name: item[f"{name}_{task}"] for name in model.item_state}))
        return self._named(logits)

    def scorer_spec(self) -> ScorerSpec | None:
        """The scorers of all tasks, of one formula; their weights have the task's name before theirs."""
        weights: dict[str, np.ndarray] = {}
        spec = None
        for task, model in zip(self.task_options.tasks, self.inner, strict=True):
            spec = model.scorer_spec()
            if spec is None:
                return None
            of_task = {**spec.weights, "bias": model.bias.numpy()}
            weights |= {f"{task}.{name}": value for name, value in of_task.items()}
        assert spec is not None  # there are tasks
        weights |= {"tasks": np.array(self.task_options.tasks), "ranking_task": np.array(self.ranking_task)}
        return ScorerSpec(f"{'esmm' if self.task_options.esmm else 'tasks'}/{spec.kind}", weights)


def chained(logits: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """The log-odds (B,) of products of probabilities: of the first, of the first two, and so on.

    With `p = σ(a) · σ(b)`, `log(p / (1 - p)) = -log(exp(-a) + exp(-b) + exp(-a - b))`.

    Args:
        logits: the log-odds (B,) of each factor.
    """
    found = [logits[0]]
    for logit in logits[1:]:
        before = found[-1]
        terms = tf.stack([-before, -logit, -before - logit])
        largest = tf.stop_gradient(tf.reduce_max(terms, axis=0))
        found.append(-largest - tf.math.log(tf.reduce_sum(tf.exp(terms - largest), axis=0)))
    return found


def several_tasks(make: Callable[..., PreRankingModel], tasks: TaskOptions) -> MultiTaskModel:
    """The model of several tasks.

    Args:
        make: makes a new model of one task; a keyword argument says which, if it is not the first.
        tasks: options of the tasks.

    Raises:
        InputError: the model is fitted without gradient steps.
    """
    inner: list[Any] = [make(**_task(place)) for place in range(len(tasks.tasks))]
    if type(inner[0]).fit_directly is not PreRankingModel.fit_directly:
        raise InputError(f"--tasks: several tasks take gradient steps. {inner[0].name}: it is fitted without them")
    return (MultiTaskTwoTower if isinstance(inner[0], TwoTowerModel) else MultiTaskModel)(inner, tasks)


def _task(place: int) -> dict[str, int]:
    """What a model is given so that its seeds are not those of the other tasks' models."""
    return {"task": place} if place else {}


def _of_label(read: ReadColumns, spec: FeatureSpec, task: str) -> ReadColumns:
    """What reads the label of a task in the place of that of the task that ranks."""

    def columns(names: Sequence[str], most_rows: int | None = None) -> dict[str, np.ndarray]:
        stored = [spec.label_of(task) if name == spec.label else name for name in names]
        found = read(stored, most_rows)
        return {name: found[column] for name, column in zip(names, stored, strict=True)}

    return columns


def _of(task: str, values: Mapping[str, tf.Tensor]) -> State:
    """What one task's model gives, by its own names."""
    return {name.partition("/")[2]: value for name, value in values.items() if name.partition("/")[0] == task}


def _labelled(
    model: PreRankingModel, inputs: Inputs, labels: tf.Tensor, scored: Scored, weights: tf.Tensor | None
) -> tuple[Inputs, tf.Tensor, Scored, tf.Tensor | None]:
    """What there is of the rows that have a label."""
    rows = tf.where(tf.logical_not(tf.math.is_nan(labels)))[:, 0]
    user, item = ({name: tf.gather(value, rows) for name, value in side.items()} for side in scored[1:])
    return (
        paired(inputs, model.spec, rows, rows),
        tf.gather(labels, rows),
        Scored(tf.gather(scored.logits, rows), user, item),
        None if weights is None else tf.gather(weights, rows),
    )
