"""Options of what a training minimises beside a model's own loss of rated rows."""

from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from models.exposure_options import ExposureOptions
from models.task_options import TaskOptions

ListLossName = Literal[
    "cross_entropy",
    "regression_compatible",
    "joint_ranking_calibration",
    "pairwise",
    "softmax",
    "top_k",
    "full_stage",
    "stage_softmax",
]
OF_STAGES = ("full_stage", "stage_softmax")
"""Losses that are over stages, and not over labels."""
OF_DATA = "data"
"""The teacher whose logits the data have."""


class ObjectiveOptions(ExposureOptions, TaskOptions):
    """Candidates, lists, losses over them, and teachers; see docs/objectives.md. The defaults add nothing.

    Raises:
        pydantic.ValidationError: a value that is not allowed, or one that goes with none of the others.
    """

    candidates_per_row: NonNegativeInt = Field(0, description="items drawn for each row of a training batch")
    candidates_from: Literal["catalogue", "popularity", "batch", "request"] = Field(
        "catalogue",
        description="catalogue: any item with a training row by the row's time; popularity: the item of an earlier "
        "training row; batch: the item of another row of the batch; request: that of another row of the request",
    )
    list_by: Literal["request", "user"] | None = Field(
        None, description="put whole requests, or all rows of a user in a file, into a batch, as a list"
    )
    list_size: PositiveInt = Field(
        50, description="maximum number of rows of a list; a longer one keeps its positives first, then a random choice"
    )
    loss: ListLossName = Field(
        "cross_entropy",
        description="loss over lists that is added to the model's own loss of rated rows; cross_entropy adds none, but "
        "takes drawn candidates as negatives where nothing else uses them",
    )
    loss_weight: float = Field(1.0, ge=0, description="weight of the loss over lists")
    list_item_bias: bool = Field(
        False,
        description="the loss over lists sees the logit times a learned factor, plus a learned bias of the item: what "
        "the logging policy prefers, whoever asks, is then not learned as a preference of users",
    )
    loss_k: PositiveInt = Field(1, description="how many rows of a list --loss top_k chooses")
    teacher: tuple[str, ...] = Field(
        (),
        description="learn from the mean logit of finished runs (their folders, comma-separated); or data: from the "
        "data's teacher column",
    )
    teacher_loss: Literal["pointwise", "pairwise", "listwise"] = Field(
        "pointwise",
        description="pointwise: the teacher's probabilities; pairwise: its differences within lists; listwise: its "
        "softmax over lists",
    )
    teacher_weight: float = Field(1.0, ge=0, description="weight of the teacher's loss")
    teacher_temperature: float = Field(
        1.0, gt=0, description="divides the logits of teacher and student, but not with pairwise"
    )
    teacher_on: Literal["rated", "candidates", "both"] = Field(
        "rated", description="which pairs the teacher teaches: rows of the data, drawn candidates, or both"
    )
    with_privileged: bool = Field(
        False, description="let the model see privileged fields, as a teacher may; it cannot be exported"
    )
    select_by: str = Field(
        "auc",
        pattern=r"^(auc|cascade_recall@[1-9][0-9]*)$",
        description="the best epoch, and when to stop, by this value on the validation part: auc, or cascade_recall@K",
    )

    @model_validator(mode="after")
    def _check_objective(self) -> "ObjectiveOptions":
        listed = self.list_by is not None or self.candidates_per_row
        if self.loss != "cross_entropy" and not listed:
            raise ValueError(f"--loss {self.loss} needs lists: --list_by, or --candidates_per_row of at least 1")
        if self.list_item_bias and self.loss == "cross_entropy":
            raise ValueError("--list_item_bias needs a --loss over lists")
        if self.loss in OF_STAGES and self.list_by is None:
            raise ValueError(f"--loss {self.loss} compares rows of different stages, so it needs --list_by")
        if OF_DATA in self.teacher and len(self.teacher) > 1:
            raise ValueError(f"--teacher {OF_DATA} stands by itself. Received: {','.join(self.teacher)}")
        if self.teacher_on != "rated":
            self._check_taught_candidates()
        elif self.entire_space and self.candidates_per_row and self.loss == "cross_entropy":
            raise ValueError(
                "--entire_space takes no candidate for a negative, so they need a --loss or a --teacher_on"
            )
        if self.teacher and self.teacher_loss != "pointwise":
            if self.teacher_on == "rated" and self.list_by is None:
                raise ValueError(f"--teacher_loss {self.teacher_loss} on rated rows needs --list_by")
            if self.teacher_on == "candidates" and self.list_by is None and self.candidates_per_row < 2:
                raise ValueError(f"--teacher_loss {self.teacher_loss} needs --candidates_per_row of at least 2")
        return self

    @model_validator(mode="after")
    def _check_used(self) -> "ObjectiveOptions":
        """Refuse what would change nothing but the run's id."""
        needs = [
            (self.list_by, "--list_by", ("list_size",)),
            (self.candidates_per_row, "--candidates_per_row of at least 1", ("candidates_from",)),
            (self.teacher, "a --teacher", ("teacher_on", "teacher_loss", "teacher_weight", "teacher_temperature")),
            (self.loss == "top_k", "--loss top_k", ("loss_k",)),
            (
                self.loss != "cross_entropy" or self.candidates_are_negatives,
                "a --loss over lists, or candidates as negatives",
                ("loss_weight",),
            ),
            (self.teacher_loss != "pairwise", "a --teacher_loss other than pairwise", ("teacher_temperature",)),
        ]
        for given, needed, names in needs:
            for name in names:
                if not given and getattr(self, name) != ObjectiveOptions.model_fields[name].default:
                    raise ValueError(f"--{name} needs {needed}")
        return self

    def _check_taught_candidates(self) -> None:
        if not self.candidates_per_row:
            raise ValueError(f"--teacher_on {self.teacher_on} needs --candidates_per_row of at least 1")
        if not self.teacher:
            raise ValueError(f"--teacher_on {self.teacher_on} needs a --teacher")
        if OF_DATA in self.teacher:
            raise ValueError(f"--teacher {OF_DATA} knows no candidates. Expected: --teacher_on rated")

    @property
    def candidates_are_negatives(self) -> bool:
        """Whether drawn candidates count as negatives in cross-entropy: where nothing else uses them."""
        taught = self.teacher and self.teacher_on != "rated"
        return bool(self.candidates_per_row) and self.loss == "cross_entropy" and not taught

    @property
    def any_is_used(self) -> bool:
        """Whether training minimises more than the model's own loss of rows, of which the exposure's is a part."""
        return bool(self.candidates_per_row or self.list_by or self.teacher)


def used(values: dict[str, Any]) -> dict[str, Any]:
    """A run's options by name, as plain values, without those of :class:`ObjectiveOptions` that have their default.

    So a run that does not use them keeps its identity.
    """
    defaults = ObjectiveOptions.model_validate({}).model_dump(mode="json")
    return {name: value for name, value in values.items() if name not in defaults or value != defaults[name]}
