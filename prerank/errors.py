"""The exceptions that a user's input can cause. Imports nothing, so that everything can import it."""


class InputError(ValueError):
    """Input that the user has to mend: a flag, a file, a line or a field.

    Its message is one line that names what is wrong and what was expected. Scripts print it to
    standard error and leave with exit code 2.

    Args:
        message: what is wrong and what was expected.
        path: the file concerned, if there is one.
        line: 1-based line of that file, if there is one.
    """

    def __init__(self, message: str, *, path: object = None, line: int | None = None):
        where = "" if path is None else f"{path}: " if line is None else f"{path}, line {line}: "
        super().__init__(where + " ".join(message.split()))


class ArtefactError(InputError):
    """An exported model or an item index that is missing, damaged, or belongs to another model."""


class RequestError(InputError):
    """A request with a feature, an id or a number that is missing or wrong."""


class UnknownItemsError(RequestError):
    """Candidates that the item index does not hold, where that was said to be an error.

    Args:
        ids: the unknown ids, in the order of the request.
    """

    def __init__(self, ids: list):
        shown = ", ".join(repr(value) for value in ids[:10]) + (", ..." if len(ids) > 10 else "")
        super().__init__(f"candidates: {len(ids)} of the ids are not in the index: {shown}")
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
