"""The command `prerank`."""

import sys
from collections.abc import Sequence

from prerank import answering, index_command, tensorflow_log
from prerank.terminal import Parser, positive, run


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, or 2 with one line for wrong input."""
    return run(lambda: _main(sys.argv[1:] if argv is None else list(argv)))


def parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(prog="prerank", description="Serve an exported model: index its items, and score them for a user.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    top = commands.add_parser("top", help="list the best items for a user")
    answering.add_flags(top)
    top.add_argument("--top", type=positive, metavar="N", default=100, help="how many items; default: 100")
    top.set_defaults(action=answering.answer)
    score = commands.add_parser("score", help="score candidates for a user")
    answering.add_flags(score, candidates_required=True)
    score.set_defaults(action=answering.answer, top=None)
    index = commands.add_parser("index", help="run the item tower over a catalogue and keep the states")
    index_command.add_flags(index)
    index.set_defaults(action=index_command.index_command)
    return parser


def _main(argv: list[str]) -> None:
    flags = parser().parse_args(argv)
    tensorflow_log.hide_without_gpu()
    flags.action(flags)
