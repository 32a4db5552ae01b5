"""The command `prerank`."""

import sys
from collections.abc import Sequence

from prerank import answering, index_command, tensorflow_log
from prerank.evaluation import command as evaluation
from prerank.service import command as service
from prerank.terminal import Parser, line_buffered, run, told_if_slow

_SLOW = {
    "index": "running the item tower over the catalogue",
    "evaluate": "scoring the rows",
    "compare": "scoring the rows with both models, and resampling users",
    "predict": "scoring the rows",
}
"""What a command is at that may take more than two seconds."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 for a bound that was missed, 2 with one line for wrong input."""
    line_buffered()
    return run(lambda: _main(sys.argv[1:] if argv is None else list(argv)))


def parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(prog="prerank", description="Serve an exported model: index its items, and score them for a user.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    top = commands.add_parser("top", help="list the best items for a user")
    answering.add_flags(top)
    answering.add_choice(top)
    top.set_defaults(action=answering.answer)
    score = commands.add_parser("score", help="score candidates for a user")
    answering.add_flags(score, candidates_required=True)
    score.set_defaults(action=answering.answer, top=None)
    index = commands.add_parser("index", help="run the item tower over a catalogue and keep the states")
    index_command.add_flags(index)
    index.set_defaults(action=index_command.index_command)
    rollback = commands.add_parser("rollback", help="go back to an earlier version of the index")
    index_command.add_rollback_flags(rollback)
    rollback.set_defaults(action=index_command.rollback_command)
    serve = commands.add_parser("serve", help="answer requests over HTTP")
    service.add_flags(serve)
    serve.set_defaults(action=service.serve_command)
    evaluate = commands.add_parser("evaluate", help="measure a model on labelled rows")
    evaluation.add_evaluate_flags(evaluate)
    evaluate.set_defaults(action=evaluation.evaluate_command)
    compare = commands.add_parser("compare", help="compare two models on the same rows")
    evaluation.add_compare_flags(compare)
    compare.set_defaults(action=evaluation.compare_command)
    predict = commands.add_parser("predict", help="score the rows of a file into another")
    evaluation.add_predict_flags(predict)
    predict.set_defaults(action=evaluation.predict_command)
    return parser


def _main(argv: list[str]) -> int | None:
    flags = parser().parse_args(argv)
    tensorflow_log.hide_without_gpu()
    if flags.command not in _SLOW:
        return flags.action(flags)
    with told_if_slow(_SLOW[flags.command]):
        return flags.action(flags)
