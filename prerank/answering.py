"""The commands `prerank top` and `prerank score`: a user's best items, or the scores of candidates."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prerank.errors import InputError, some
from prerank.reading import parse_json
from prerank.terminal import Parser, positive, write
from prerank.threads import limit_threads

if TYPE_CHECKING:
    from prerank.scored import Scored


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


def add_choice(parser: Parser) -> None:
    """Add the flags of `top` that say what is chosen."""
    parser.add_argument("--top", type=positive, metavar="N", default=100, help="how many items; default: 100")
    parser.add_argument(
        "--filter", metavar="JSON", help="""conditions, such as '{"category": ["shoes"], "price": {"max": 50}}'"""
    )
    parser.add_argument("--value", metavar="ATTRIBUTE", help="rank by probability times this attribute, such as a bid")
    parser.add_argument(
        "--at_most", metavar="JSON", help="""most items that share a value, such as '{"category": 3}'"""
    )
    parser.add_argument(
        "--reserve",
        metavar="JSON",
        help="""places for some items, such as '[{"places": 2, "filter": {"age_days": {"max": 7}}}]'""",
    )


def _read_json(flag: str, text: str, kind: type = dict) -> Any:
    try:
        found = parse_json(text)
    except InputError as error:
        raise InputError(f"{flag}: {error}") from error
    if not isinstance(found, kind):
        raise InputError(f"{flag}: expected a JSON {'object' if kind is dict else 'list'}. Received: {text}")
    return found


def _show(found: "Scored", style: str) -> None:
    ids, scores = found.ids.tolist(), found.scores.tolist()
    if style == "tsv":
        if ids:
            write("\n".join(f"{key}\t{score:.6f}" for key, score in zip(ids, scores, strict=True)))
        if found.unknown:
            count = f"{len(found.unknown)} ids, " if len(found.unknown) > 10 else ""
            print(f"not in the index: {count}{some(list(found.unknown))}", file=sys.stderr)
        return
    write(json.dumps(found.to_dict()))


def answer(flags: Any) -> None:
    """Answer one user: the best `flags.top` items, or the scores of all candidates if it is None.

    Raises:
        InputError: a flag, a file, the user or a candidate is wrong.
    """
    from prerank.id_files import read_ids
    from prerank.preranker import PreRanker  # imports NumPy, for which `--help` does not wait

    limit_threads()
    user = _read_json("--user", flags.user)
    ranker = PreRanker(flags.model, flags.index)
    candidates = None if flags.candidates is None else read_ids(flags.candidates, ranker.item_id_type, "--candidates")
    if flags.top is None:
        found = ranker.score(user, candidates, strict=flags.strict)
    else:
        wanted = _read_json("--filter", flags.filter) if flags.filter is not None else None
        caps = _read_json("--at_most", flags.at_most) if flags.at_most is not None else None
        reserve = _read_json("--reserve", flags.reserve, list) if flags.reserve is not None else None
        found = ranker.top(
            user,
            flags.top,
            candidates=candidates,
            strict=flags.strict,
            filter=wanted,
            value=flags.value,
            at_most=caps,
            reserve=reserve,
        )
    _show(found, flags.format)
