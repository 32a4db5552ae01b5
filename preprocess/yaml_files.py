"""Reads YAML that people write: mappings, lists, texts, numbers, truth values, null; bounded in size and depth.

Everything that is YAML is read here. Values are built from PyYAML's events, so that no tag can ask for anything else,
and only what is decimal is a number: `1_0`, `0x1F`, `1:30`, `2020-02-30` and `.nan` are texts, and so are `yes`, `no`
and, as in YAML 1.1, `1e-3`; an option that is a number takes the last of them nevertheless.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from prerank import reading
from prerank.errors import InputError
from prerank.numbers import integer, number

_MOST_BYTES = 256 << 10
_MOST_VALUES = 50_000
"""Most values, those that aliases repeat counted each time."""
_TAG = "tag:yaml.org,2002:"
# As PyYAML writes them: a text that looks so is quoted there, and any other is not.
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# written in C; libyaml comes with PyYAML's wheels
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path, flag: str = "") -> dict[str, Any]:
    """The keys and values of a YAML file.

    Args:
        path: the file.
        flag: the flag that named it, for messages.

    Raises:
        InputError: it cannot be read, is not YAML, is too large or too deep, has a key twice or one that is no text, a
            tag, or a number out of bounds; names the line.
    """
    where = f"{flag}: " if flag else ""
    try:
        text = reading.read_bytes(path, _MOST_BYTES).decode("utf-8").removeprefix("\ufeff")
        found = parse_yaml(text)
    except OSError as error:
        raise InputError(f"{where}cannot be read: {error.strerror or error}", path=path) from error
    except UnicodeDecodeError as error:
        what = f"{where}not valid YAML: not UTF-8: {error.reason} at byte {error.start}"
        raise InputError(what, path=path) from error
    except _YamlError as error:
        # libyaml counts a line more at the end of the text
        line = min(error.line, len(text.splitlines()) or 1) if error.line else None
        raise InputError(f"{where}not valid YAML: {error}", path=path, line=line) from error
    except InputError as error:
        raise InputError(f"{where}{error}", path=path) from error
    if not isinstance(found, dict):
        raise InputError(f"{where}expected keys and values. Received: {found!r}", path=path)
    return found


def parse_yaml(text: str) -> Any:
    """What a YAML text of one document says.

    Raises:
        InputError: as :func:`read_yaml`.
    """
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except (yaml.MarkedYAMLError, yaml.reader.ReaderError) as error:
        mark = getattr(error, "problem_mark", None)
        raise _YamlError(str(getattr(error, "problem", None) or getattr(error, "reason", "")), mark) from error
    return builder.found


class _YamlError(InputError):
    """What is wrong, and the 1-based line."""

    def __init__(self, message: str, mark: Any):
        super().__init__(message)
        self.line = mark.line + 1 if mark else None


@dataclass
class _Open:
    """A mapping or a list that has begun.

    Attributes:
        values: what is in it so far.
        anchor: its name for aliases, or None.
        size: how many values it has, itself and all within counted.
        key: of a mapping, the key whose value comes next, as a list of one.
    """

    values: dict[str, Any] | list[Any]
    anchor: str | None
    size: int = 1
    key: list[str] = field(default_factory=list)


class _Builder:
    """Makes values of events, without recursion.

    Attributes:
        found: the document's value, once it has ended.
    """

    def __init__(self) -> None:
        self.found: Any = None
        self._documents = 0
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}

    def take(self, event: yaml.Event) -> None:
        """Go on by one event."""
        if isinstance(event, yaml.ScalarEvent):
            self._add(_scalar(event), 1, event.anchor, event.start_mark)
        elif isinstance(event, yaml.CollectionStartEvent):
            _check_tag(event, "map" if isinstance(event, yaml.MappingStartEvent) else "seq")
            if len(self._open) == reading.DEEPEST:
                raise _YamlError(f"nested more than {reading.DEEPEST} deep", event.start_mark)
            self._open.append(_Open({} if isinstance(event, yaml.MappingStartEvent) else [], event.anchor))
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = self._open.pop()
            self._add(ended.values, ended.size, ended.anchor, event.start_mark)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise _YamlError(f"the alias *{event.anchor} stands for nothing before it", event.start_mark)
            self._add(*self._anchors[event.anchor], None, event.start_mark)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _YamlError("expected one document", event.start_mark)

    def _add(self, value: Any, size: int, anchor: str | None, mark: Any) -> None:
        if anchor is not None:
            self._anchors[anchor] = value, size
        if not self._open:
            self.found = value
            return
        holder = self._open[-1]
        holder.size += size
        if holder.size > _MOST_VALUES:
            raise _YamlError(f"more than {_MOST_VALUES:,} values", mark)
        if isinstance(holder.values, list):
            holder.values.append(value)
        elif holder.key:
            holder.values[holder.key.pop()] = value
        else:
            holder.key.append(_key(value, holder.values, mark))


def _key(value: Any, known: dict[str, Any], mark: Any) -> str:
    if not isinstance(value, str):
        raise _YamlError(f"a key has to be a text. Received: {value!r}", mark)
    if value in known:
        raise _YamlError(f"the key {value!r} occurs twice", mark)
    return value


def _check_tag(event: Any, *allowed: str) -> None:
    if event.tag not in (None, "!", *(_TAG + kind for kind in allowed)):
        raise _YamlError(f"a tag has no meaning here. Received: {event.tag}", event.start_mark)


def _scalar(event: yaml.ScalarEvent) -> Any:
    _check_tag(event, "str")
    text = event.value
    if "\0" in text or not _is_unicode(text):
        raise _YamlError(f"a text has a NUL, or is not Unicode. Received: {text!r}", event.start_mark)
    if event.tag is not None or not event.implicit[0]:  # quoted
        return text
    if text in _WORDS:
        return _WORDS[text]
    try:
        if _INTEGER.fullmatch(text):
            return integer(text.removeprefix("+"))
        if _NUMBER.fullmatch(text):
            return number(text.removeprefix("+"))
    except InputError as error:
        raise _YamlError(str(error), event.start_mark) from error
    return text


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
