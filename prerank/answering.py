"""The commands `prerank top` and `prerank score`: a user's best items, or the scores of candidates."""

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prerank.errors import InputError, some
from prerank.reading import parse_json
from prerank.terminal import Parser, write
from prerank.threads import limit_threads

if TYPE_CHECKING:
    from prerank.preranker import Scored


def add_flags(parser: Parser, *, candidates_required: bool = False) -> None:
    """Add the flags that `top` and `score` share."""
    parser.add_argument("--model", type=Path, required=True, help="exported model")
    parser.add_argument("--index", type=Path, help="item index; default: index, in the model's folder")
    parser.add_argument("--user", required=True, help="JSON object of raw values by feature name, see features.json")
    parser.add_argument(
        "--candidates",
        type=Path,
        metavar="FILE",
        required=candidates_required,
        help="item ids, one a line; - is standard input",
    )
    parser.add_argument("--format", choices=("tsv", "json"), default="tsv", help="default: id<TAB>logit lines")
    parser.add_argument("--strict", action="store_true", help="a candidate that the index does not hold is an error")


def _read_user(text: str) -> dict[str, Any]:
    try:
        user = parse_json(text)
    except InputError as error:
        raise InputError(f"--user: {error}") from error
    if not isinstance(user, dict):
        raise InputError(f"--user: expected a JSON object. Received: {text}")
    return user


def _read_candidates(path: Path, raw_type: str) -> list[Any]:
    """The item ids of a file, one a line, by the contract of values; empty lines are left out."""
    from prerank.values import KINDS, MISSING, WrongValueError, read, short  # imports NumPy, as below

    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--candidates: cannot be read: {error}", path=path) from error
    kind, ids = KINDS[raw_type], []
    for number, line in enumerate(text.split("\n"), 1):  # a text may hold what else ends a line for Python
        line = line.removesuffix("\r")
        if not line:
            continue
        try:
            found = read(line, kind)
        except WrongValueError as error:
            message = f"an item id has to be {error.expected}. Received: {short(line)}"
            raise InputError(message, path=path, line=number) from error
        ids.append(MISSING[kind] if found is None else found)
    return ids


def _show(found: "Scored", style: str) -> None:
    ids, scores = found.ids.tolist(), found.scores.tolist()
    if style == "tsv":
        if ids:
            write("\n".join(f"{key}\t{score:.6f}" for key, score in zip(ids, scores, strict=True)))
        if found.unknown:
            count = f"{len(found.unknown)} ids, " if len(found.unknown) > 10 else ""
            print(f"not in the index: {count}{some(list(found.unknown))}", file=sys.stderr)
        return
    items = [{"id": key, "logit": None if math.isnan(score) else score} for key, score in zip(ids, scores, strict=True)]
    write(json.dumps({"index": found.version, "items": items, "unknown": list(found.unknown)}))


def answer(flags: Any) -> None:
    """Answer one user: the best `flags.top` items, or the scores of all candidates if it is None.

    Raises:
        InputError: a flag, a file, the user or a candidate is wrong.
    """
    from prerank.preranker import PreRanker  # imports NumPy, for which `--help` does not wait

    limit_threads()
    user = _read_user(flags.user)
    ranker = PreRanker(flags.model, flags.index)
    candidates = None if flags.candidates is None else _read_candidates(flags.candidates, ranker.item_id_type)
    if flags.top is None:
        found = ranker.score(user, candidates, strict=flags.strict)
    else:
        found = ranker.top(user, flags.top, candidates=candidates, strict=flags.strict)
    _show(found, flags.format)
