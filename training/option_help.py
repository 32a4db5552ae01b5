"""The options of a training script in groups, as the help of the terminal and for docs/reference/flags.md."""

import argparse
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from models.options import ModelOptions
from preprocess.options import DataOptions
from training.options import RunOptions

_EXAMPLE = {
    "train_whole_models.py": "--schema shop.yaml --data_path shop.parquet --model_name hit --export_dir out/shop",
}
_WIDTH = 110


@dataclass(frozen=True)
class Group:
    """Options that belong together.

    Attributes:
        title: what they are for.
        names: the options.
    """

    title: str
    names: tuple[str, ...]


COMMON = (
    Group(
        "what to train and how",
        ("model_name", "epoch", "patience", "select_by", "batch_size", "lr", "embedding_l2", "oov_rate", "random_seed",
         "init_from", "fit_all"),
    ),
    Group(
        "which data, by which rules",
        (
            "data_path", "download", "protocol", "split", "test_share", "validation_share", "test_from", "leak",
            "state", "max_history", "sample_rate", "negatives",
            "min_count", "hash_buckets", "prepared_dir", "prepare_only",
        ),
    ),
    Group(
        "results and export",
        (
            "output_dir", "overwrite", "save_predictions", "export_dir", "export_format", "export_version",
            "export_examples", "calibrate",
        ),
    ),
    Group(
        "candidates, and losses over lists (docs/objectives.md)",
        (
            "candidates_per_row", "candidates_from", "list_by", "list_size", "loss", "loss_weight", "list_item_bias",
            "loss_k",
        ),
    ),
    Group(
        "teachers (docs/objectives.md)",
        (
            "teacher", "teacher_loss", "teacher_weight", "teacher_temperature", "teacher_on", "with_privileged",
        ),
    ),
    Group("several tasks (docs/tasks.md)", ("tasks", "task_weights", "rank_by", "esmm")),
    Group(
        "the entire space (docs/entire-space.md)",
        ("entire_space", "exposure_weight", "exposure_scale", "exposure_half_life"),
    ),
    Group("devices (docs/distributed.md)", ("device", "strategy", "mixed_precision", "jit")),
    Group("Spark (docs/spark.md)", ("engine", "spark_master", "spark_scratch", "spark_conf")),
)  # fmt: skip
"""The options that every training script has, in the order of the help."""


def common_groups() -> Iterator[Group]:
    """:data:`COMMON`, and a group of those options that are in none of its groups."""
    yield from COMMON
    listed = {name for group in COMMON for name in group.names}
    if rest := [name for name in (*RunOptions.model_fields, *DataOptions.model_fields) if name not in listed]:
        yield Group("further options", tuple(rest))


def groups(data: type[DataOptions], model: type[ModelOptions], model_name: str) -> Iterator[Group]:
    """The groups of a training script's options, of one model."""
    yield from common_groups()
    if own := [name for name in data.model_fields if name not in DataOptions.model_fields]:
        yield Group("this data set only", tuple(own))
    yield from model_groups(model, model_name)


def model_groups(model: type[ModelOptions], model_name: str) -> Iterator[Group]:
    """The options that every model has, and those of one model."""
    yield Group("options of every model", tuple(ModelOptions.model_fields))
    if own := [name for name in model.model_fields if name not in ModelOptions.model_fields]:
        yield Group(f"options of {model_name}", tuple(own))


def value(annotation: Any) -> str:
    """What a flag takes, in plain words: `INT`, `NUMBER`, `TEXT`, `PATH`, the choices, or an empty text for a switch.

    >>> value(int), value(float | None), value(tuple[str, ...]), value(Literal["a", "b"])
    ('INT', 'NUMBER', 'TEXT,...', 'a|b')
    """
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation is bool:
        return ""
    if origin is Literal:
        return "|".join(map(str, parts))
    if origin in (Union, types.UnionType):
        return value(next(part for part in parts if part is not type(None)))
    if origin is tuple:
        return f"{value(parts[0])},..."
    if hasattr(annotation, "__metadata__"):
        return value(annotation.__origin__)
    named = {int: "INT", float: "NUMBER", str: "TEXT", Path: "PATH"}
    return next((word for kind, word in named.items() if isinstance(annotation, type) and issubclass(annotation, kind)),
                "VALUE")  # fmt: skip


def default(field: FieldInfo, own: Any = None) -> str:
    """An option's default as one would type it; empty if there is none, `off` for a switch.

    Args:
        field: the option.
        own: a data set's own default, if it has one.
    """
    found = field.default if own is None else own
    if isinstance(found, bool):
        return "on" if found else "off"
    if isinstance(found, tuple | list):
        return ",".join(map(str, found))
    return "" if found is None else str(found)


def help_text(
    program: str,
    description: str,
    data: type[DataOptions],
    model: type[ModelOptions],
    model_name: str,
    model_names: list[str],
    own_defaults: Mapping[str, Any],
) -> str:
    """The help of a training script.

    Args:
        program: name of the script.
        description: what it does.
        data: the data set's options.
        model: options of the model whose help is asked for.
        model_name: its name.
        model_names: names of all models.
        own_defaults: the data set's own defaults.
    """
    fields = {**RunOptions.model_fields, **data.model_fields, **model.model_fields}
    parser = argparse.ArgumentParser(
        prog=program,
        usage=f"{program} [--model_name MODEL] [--option value ...]",
        description=(
            f"{description}\n\nexample:\n  python {program} {_EXAMPLE.get(program, '--model_name hit --epoch 5')}\n\n"
            f"models:\n  {', '.join(model_names)}\n\n"
            f"This help shows the options of {model_name}. For those of another model: --model_name MODEL --help"
        ),
        epilog="A switch is turned off by --no-NAME. Wrong input: one line, exit code 2.",
        formatter_class=_formatter,
        add_help=False,
    )
    first = parser.add_argument_group("help and configuration")
    first.add_argument("--help", "-h", action="help", help="show this text")
    first.add_argument("--config", metavar="FILE", help="read options from YAML; flags override them")
    for group in groups(data, model, model_name):
        arguments = parser.add_argument_group(group.title)
        for name in group.names:
            _add(arguments, name, fields[name], own_defaults.get(name))
    return parser.format_help()


def _add(arguments, name: str, field: FieldInfo, own: Any) -> None:
    shown = default(field, own)
    text = f"{field.description} (default: {shown})" if shown else str(field.description)
    if kind := value(field.annotation):
        arguments.add_argument(f"--{name}", metavar=kind, help=text.replace("%", "%%"))
    else:
        arguments.add_argument(f"--{name}", action="store_true", help=text.replace("%", "%%"))


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=32, width=_WIDTH)
