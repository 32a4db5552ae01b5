"""The exceptions that a user's input can cause. Imports the standard library only, so that everything can import it."""

import re

_WHOLE = 450
"""Most characters of a message, its file included."""
_VALUE = 100
"""Most characters of one value in a message."""
_PATH = 180
"""Most characters of a path, of which the end says more than the beginning."""
_ID = 30
_SHOWN_IDS = 10
_HEAD, _TAIL = 3000, 1000
"""What is looked at of a longer message: to cut a value of megabytes must not take longer than to make it."""
_SPACE = re.compile(r"[ \t\r\n\v\f]+")
_QUOTED = re.compile(r"(?<!\w)(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")
_WORD = re.compile(rf"[^ ]{{{_VALUE + 1},}}")
_RECEIVED = "Received: "


class InputError(ValueError):
    """Input that the user has to mend: a flag, a file, a line or a field.

    Its message is one line that names what is wrong and what was expected. Scripts print it to
    standard error and leave with exit code 2. However long the values in it are, it has at most 450 characters:
    quoted values, long words and what follows "Received:" are cut to 100, paths to 180. Characters that do not
    print are escaped.

    Args:
        message: what is wrong and what was expected.
        path: the file concerned, if there is one.
        line: 1-based line of that file, if there is one.
    """

    def __init__(self, message: str, *, path: object = None, line: int | None = None):
        where = ""
        if path is not None:
            where = _end(_printable(str(path)[-_HEAD:]), _PATH) + (": " if line is None else f", line {line}: ")
        super().__init__(where + _one_line(message, _WHOLE - len(where)))


class ArtefactError(InputError):
    """An exported model or an item index that is missing, damaged, or belongs to another model."""


class RequestError(InputError):
    """A request with a feature, an id or a number that is missing or wrong.

    Args:
        message: what is wrong and what was expected.
        field: name of the field that is wrong, such as `n` or `user.age`.
    """

    def __init__(self, message: str, *, field: str | None = None):
        super().__init__(message)
        self.field = field


class UnknownItemsError(RequestError):
    """Candidates that the item index does not hold, where that was said to be an error.

    Args:
        ids: the unknown ids, in the order of the request.
    """

    def __init__(self, ids: list):
        message = f"candidates: {len(ids)} of the ids are not in the index: {some(ids)}"
        super().__init__(message, field="candidates")
        self.ids = ids


class ForkedError(RuntimeError):
    """A SavedModel that cannot run in this process, a child of one in which TensorFlow had begun to compute.

    Args:
        folder: the export.
    """

    def __init__(self, folder: object):
        super().__init__(
            f"{folder}: TensorFlow had begun to compute before this process was forked, and its threads do not survive "
            "a fork. Make no request and load no SavedModel before the fork, or start the process with "
            "multiprocessing's spawn, or serve an ONNX export (--export_format onnx)"
        )


def some(values: list) -> str:
    """The first ten of some values, for a message, each cut to 30 characters."""
    shown = [middle(repr(value), _ID) for value in values[:_SHOWN_IDS]]
    return ", ".join(shown) + (", ..." if len(values) > _SHOWN_IDS else "")


def middle(text: str, most: int = _VALUE) -> str:
    """A text of at most `most` characters, of which the middle is left out."""
    if len(text) <= most:
        return text
    tail = most // 4
    return f"{text[: most - tail - 3]}...{text[len(text) - tail :]}"


def _end(text: str, most: int) -> str:
    return text if len(text) <= most else "..." + text[3 - most :]


def _one_line(message: str, most: int) -> str:
    if len(message) > _HEAD + _TAIL:
        message = f"{message[:_HEAD]}...{message[-_TAIL:]}"
    text = _printable(_SPACE.sub(" ", message).strip(" "))
    for long in (_QUOTED, _WORD):
        text = long.sub(lambda found: _end(found[0], _PATH) if "/" in found[0] else middle(found[0]), text)
    before, received, value = text.partition(_RECEIVED)
    return middle(before + received + middle(value), most)


def _printable(text: str) -> str:
    """The text with an escape in the place of each character that does not print, of a newline too."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
