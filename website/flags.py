"""Writes docs/reference/flags.md from the typed options and the parsers: `python -m website.flags`."""

import argparse
import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic.fields import FieldInfo

import models
import train_amazon_whole_models
import train_whole_models
from experiments import command_line as benchmark
from models.options import ModelOptions
from preprocess.options import DataOptions
from prerank import command_line as prerank
from training.option_help import common_groups, default, value
from training.options import RunOptions

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "flags.md"
_SCRIPTS = (train_amazon_whole_models, train_whole_models)
_HEADER = "| flag | value | default | |\n| --- | --- | --- | --- |"
_INTRODUCTION = """# Flags

Written by `python -m website.flags` from the typed options; a test compares this page with them.

## The training scripts

`train_movielens_whole_models.py`, `train_taobao_whole_models.py`, `train_amazon_whole_models.py` and
`train_whole_models.py` (your own data) have the same flags. `--model_name MODEL --help` shows them in the terminal,
with those of one model. `--config FILE` reads the same options from YAML, as a run's `config.yaml` has them. A flag
overrides the file. A switch is turned off by `--no-NAME`. `--epochs` is another spelling of `--epoch`.
"""


_EXCEPTIONS = "`lr`, `gbdt` and `target_means` use neither. `ease` takes `--embedding_dim` as the rank of its weights."


def page() -> str:
    """The text of the page."""
    parts = [_INTRODUCTION]
    fields = {**RunOptions.model_fields, **DataOptions.model_fields}
    for group in common_groups():
        parts += [f"### {group.title[0].upper()}{group.title[1:]}", _table(fields, group.names)]
    for script in _SCRIPTS:
        assert script.__file__ is not None
        own = [name for name in script.SOURCE.options.model_fields if name not in DataOptions.model_fields]
        parts += [f"### `{script.__name__}.py` only", _table(script.SOURCE.options.model_fields, own)]
    parts += ["## Every model", _table(ModelOptions.model_fields, ModelOptions.model_fields)]
    parts += [_EXCEPTIONS]
    for name in models.names():
        options = models.get(name).options
        changed = [f for f in options.model_fields if options.model_fields[f] != ModelOptions.model_fields.get(f)]
        parts += [f"### `{name}`", _table(options.model_fields, changed) if changed else "No options of its own."]
    for title, parser in (("benchmark.py", benchmark.parser()), ("prerank", prerank.parser())):
        parts += [f"## `{title}`", *_commands(title, parser)]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _table(fields: Mapping[str, FieldInfo], names) -> str:
    rows = [_HEADER]
    for name in names:
        field = fields[name]
        shown = default(field)
        rows.append(_row(f"--{name}", value(field.annotation), shown, str(field.description)))
    return "\n".join(rows)


def _row(flag: str, kind: str, shown: str, text: str) -> str:
    cells = [f"`{flag}`", f"`{kind}`" if kind else "", f"`{shown}`" if shown else "", text]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _commands(program: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    summaries = {choice.dest: choice.help for choice in commands._choices_actions}
    for name, command in commands.choices.items():
        yield f"### `{program} {name}`"
        text = inspect.cleandoc(command.description) if command.description else f"{summaries[name]}."
        yield text[0].upper() + text[1:]
        yield "\n".join(["| flag | |", "| --- | --- |", *_arguments(command)])


def _arguments(command: argparse.ArgumentParser) -> Iterator[str]:
    for action in command._actions:
        if action.dest == "help" or action.help == argparse.SUPPRESS:
            continue
        name = max(action.option_strings, key=len) if action.option_strings else action.metavar
        needed = "**needed**; " if action.required and action.option_strings else ""
        text = (action.help or "").replace("%%", "%").replace("<", "&lt;").replace("|", "\\|")
        yield f"| `{name}` | {needed}{text} |"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if PAGE.read_text("utf-8") == page() else f"{PAGE.name} is not current: run python -m website.flags")
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), "utf-8")
    print(f"written: {PAGE.name}")
