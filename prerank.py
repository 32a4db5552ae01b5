"""Old name of `prerank top` and `prerank score`, for one release.

python prerank.py --model out/hit --user '{"user_id": 42, ...}' --top 100
python prerank.py --model out/hit --user '{"user_id": 42, ...}' --candidates ids.txt
"""

import sys

from prerank import answering
from prerank.errors import InputError
from prerank.terminal import Parser, positive, run


def main() -> None:
    """Answer the command line.

    Raises:
        InputError: a flag, a file, the user or a candidate is wrong.
    """
    print("prerank.py is now `python -m prerank top` and `python -m prerank score`", file=sys.stderr)
    parser = Parser(prog="prerank.py", description="Old name of `python -m prerank top` and `python -m prerank score`.")
    answering.add_flags(parser)
    parser.add_argument("--top", type=positive, metavar="N", help="list the N best items, of the candidates if given")
    parser.set_defaults(filter=None, value=None, at_most=None, reserve=None)  # what only the new commands have
    flags = parser.parse_args(sys.argv[1:])
    if flags.top is None and flags.candidates is None:
        raise InputError("name --top N, --candidates FILE, or both")
    answering.answer(flags)


if __name__ == "__main__":
    sys.exit(run(main))
