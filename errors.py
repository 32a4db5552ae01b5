"""The one exception that a user's input can cause. Imports nothing, so that everything can import it."""


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
