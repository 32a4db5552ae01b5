"""Options of several tasks, which a model with towers, or one light tower, can learn together."""

from pydantic import Field, model_validator

from prerank.options import Options

MOST_TASKS = 8


class TaskOptions(Options):
    """Which labels of the data a model learns, and how.

    Raises:
        pydantic.ValidationError: a value that is not allowed, or one without `tasks`.
    """

    tasks: tuple[str, ...] = Field(
        (),
        max_length=MOST_TASKS,
        description="labels of the schema that are learned, comma-separated, such as click,order; default: the first "
        "label only",
    )
    task_weights: tuple[float, ...] = Field(
        (), description="weights of the tasks' losses, in the order of --tasks; default: 1 each"
    )
    rank_by: str | None = Field(None, description="the task whose logit ranks; default: the first of --tasks")
    esmm: bool = Field(
        False,
        description="each task includes the next, and all rows train p(order) = p(click) · p(order | click)",
    )

    @model_validator(mode="after")
    def _check_tasks(self) -> "TaskOptions":
        if repeated := [name for place, name in enumerate(self.tasks) if name in self.tasks[:place]]:
            raise ValueError(f"--tasks names {repeated[0]} twice")
        if self.rank_by is not None and self.rank_by not in self.tasks:
            raise ValueError(f"--rank_by: expected one of --tasks. Received: {self.rank_by}")
        if self.task_weights and (len(self.task_weights) != len(self.tasks) or min(self.task_weights) <= 0):
            raise ValueError("--task_weights: expected a number above 0 for each of --tasks")
        for name in ("task_weights", "esmm"):
            if getattr(self, name) and not self.several:
                raise ValueError(f"--{name} needs at least two --tasks")
        return self

    @property
    def several(self) -> bool:
        """Whether there are more tasks than one."""
        return len(self.tasks) > 1

    @property
    def ranking_task(self) -> str | None:
        """The task whose logit ranks; None for the data's first label."""
        return self.rank_by or (self.tasks[0] if self.tasks else None)

    def of_tasks(self) -> "TaskOptions":
        """These options only, where more are inherited from them."""
        return TaskOptions(**{name: getattr(self, name) for name in TaskOptions.model_fields})
