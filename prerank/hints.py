"""Names the one that was probably meant, where a name is unknown."""

import difflib
from collections.abc import Iterable

_ALIKE = 0.6


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, whatever their case, dashes and underscores; None if none is alike.

    >>> closest("batchsize", ["batch_size", "patience"])
    'batch_size'
    >>> closest("zzz", ["batch_size"]) is None
    True
    """
    plain = {_plain(other): other for other in known}
    found = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=_ALIKE)
    return plain[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: `; did you mean X?`, or an empty text.

    >>> did_you_mean("HIT", ["hit", "fit"])
    '; did you mean hit?'
    """
    found = closest(name, known)
    return "" if found is None else f"; did you mean {found}?"


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").strip("_")
