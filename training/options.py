"""Options of a training run."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from prerank.numbers import integer
from training.objective_options import ObjectiveOptions


class RunOptions(ObjectiveOptions):
    """What to train and how. Every field is a flag of the training scripts and a key of `config.yaml`.

    Raises:
        pydantic.ValidationError: a value that is not allowed.
    """

    model_name: str = Field("hit", description="model to train")
    epoch: PositiveInt = Field(30, description="maximum number of epochs")
    patience: PositiveInt = Field(
        2, description="epochs without a better value on the validation part before training stops"
    )
    batch_size: PositiveInt = Field(2048, description="rows per batch, over all replicas")
    lr: float = Field(1e-3, gt=0, description="learning rate of Adam")
    embedding_l2: float = Field(1e-5, ge=0, description="L2 penalty on the embedding rows that a batch looks up")
    oov_rate: float | None = Field(
        None, ge=0, lt=1, description="share of ids masked in training; default 0.05, or 0 with the leak encoders"
    )
    random_seed: NonNegativeInt = Field(0, le=2**32 - 1, description="seed of weights, dropout and shuffling")
    output_dir: Path = Field(Path("runs"), description="folder that gets a folder per run")
    overwrite: bool = Field(False, description="train again where a finished run of the same configuration lies")
    export_dir: Path | None = Field(None, description="folder to write the trained model to")
    export_format: Literal["saved_model", "onnx"] = Field(
        "saved_model",
        description="saved_model takes values as the raw files spell them; onnx takes their indices, "
        "and needs requirements-onnx.txt",
    )
    export_version: PositiveInt | None = Field(
        None, le=2**63 - 1, description="write to EXPORT_DIR/VERSION, as TensorFlow Serving reads it"
    )
    export_examples: NonNegativeInt = Field(
        2000, description="labelled test rows in raw spelling that go with the exported model; 0 for none"
    )
    init_from: Path | None = Field(
        None,
        description="begin with the weights of this finished run of the same model; ids that it did not know are new",
    )
    fit_all: int | str | None = Field(
        None,
        description="with --split none: train on all rows for so many epochs, or for as many as the best epoch of the "
        "evaluated run in this folder; nothing is measured",
    )
    calibrate: Literal["none", "temperature", "isotonic"] = Field(
        "none",
        description="fit the exported probability to the validation part: temperature divides the logit; isotonic is "
        "any rising function",
    )
    save_predictions: bool = Field(False, description="keep the test part's predictions in the run's folder")
    download: bool = Field(False, description="fetch the data set first")
    prepare_only: bool = Field(False, description="prepare the data and stop")
    device: Literal["auto", "cpu", "gpu"] = Field(
        "auto", description="where to train; auto takes a GPU if there is one"
    )
    strategy: Literal["single", "mirrored", "multi_worker"] = Field(
        "single",
        description="single: one device; mirrored: all devices of this machine; multi_worker: the processes that "
        "TF_CONFIG names; a loss over a batch, such as CIR, is then over each replica's own rows",
    )
    mixed_precision: bool = Field(False, description="compute in bfloat16 on a CPU, in float16 on a GPU")
    jit: bool = Field(False, description="compile the training step with XLA")

    @field_validator("fit_all", mode="before")
    @classmethod
    def _epochs_or_run(cls, value: Any) -> Any:
        """A number of epochs, or the name of a folder."""
        if isinstance(value, str) and not value.removeprefix("-").isdecimal():
            return value
        found = integer(value) if isinstance(value, str) else value
        if found is not None and (type(found) is not int or found < 1):
            raise ValueError(f"expected a positive integer, or the folder of a run. Received: {value!r}")
        return found

    @model_validator(mode="after")
    def _check(self) -> "RunOptions":
        if self.jit and self.strategy != "single":
            raise ValueError(f"--jit works with --strategy single only. Received: --strategy {self.strategy}")
        if self.list_item_bias and self.strategy != "single":
            raise ValueError(f"--list_item_bias works with --strategy single only. Received: {self.strategy}")
        self._check_fit_all()
        if self.prepare_only and self.export_dir is not None:
            raise ValueError("--prepare_only trains nothing that --export_dir could take")
        if self.export_dir is None:
            if self.export_version is not None:
                raise ValueError("--export_version needs --export_dir")
            if self.export_format != "saved_model":
                raise ValueError(f"--export_format {self.export_format} needs --export_dir")
        if self.export_dir is not None and self.with_privileged:
            raise ValueError("--with_privileged trains a teacher, which --export_dir cannot take")
        return self

    def _check_fit_all(self) -> None:
        if self.fit_all is None:
            return
        for name in ("calibrate", "select_by", "save_predictions"):
            if getattr(self, name) != RunOptions.model_fields[name].default:
                raise ValueError(f"--fit_all trains on all rows, so --{name} has none to measure on")
        if isinstance(self.fit_all, int) and self.fit_all > self.epoch:
            raise ValueError(f"--fit_all {self.fit_all} is more than --epoch {self.epoch}")
