"""The flags of `prerank serve`.

prerank serve --model out/hit [--host 127.0.0.1] [--port 8501] [--workers 1]
"""

import sys
from pathlib import Path
from typing import Any

from prerank.errors import InputError
from prerank.service.settings import Settings
from prerank.terminal import Parser, integers, numbers, positive, write
from prerank.threads import limit_threads

_LARGEST_PORT = 65_535
_MOST_SECONDS = 3600


def add_flags(parser: Parser) -> None:
    """Add the flags of `prerank serve`."""
    default = Settings(Path())
    parser.add_argument("--model", type=Path, required=True, help="exported model")
    parser.add_argument("--index", type=Path, help="item index; default: index, in the model's folder")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; default: 127.0.0.1, this machine only")
    parser.add_argument("--port", type=integers(0, _LARGEST_PORT), default=8501, help="default: 8501; 0: any free one")
    parser.add_argument("--workers", type=positive, default=default.workers, help="processes; default: %(default)s")
    parser.add_argument(
        "--concurrency",
        type=positive,
        default=default.concurrency,
        help="requests that a process computes at a time; default: %(default)s",
    )
    parser.add_argument(
        "--queue",
        type=integers(0),
        default=default.queue,
        help="requests that wait in a process; more get 429; default: %(default)s",
    )
    parser.add_argument(
        "--timeout",
        type=numbers(0.001, _MOST_SECONDS),
        default=default.timeout,
        metavar="SECONDS",
        help="most time of a request; default: %(default)s",
    )
    parser.add_argument(
        "--max_body", type=positive, default=default.max_body, metavar="BYTES", help="default: %(default)s"
    )
    parser.add_argument(
        "--max_items",
        type=positive,
        default=default.max_items,
        help="most candidates, excluded and answered items of a request; default: %(default)s",
    )
    parser.add_argument(
        "--max_users", type=positive, default=default.max_users, help="most users of a request; default: %(default)s"
    )
    parser.add_argument("--other", type=Path, metavar="MODEL", help="a second exported model, served beside the first")
    parser.add_argument("--other_index", type=Path, metavar="INDEX", help="its item index; default as for --index")
    parser.add_argument(
        "--share",
        type=numbers(0.0001, 0.9999),
        help="share of the users that --other answers, by a hash of the user's id",
    )
    parser.add_argument("--shadow", action="store_true", help="--other computes every request, and is only counted")
    parser.add_argument("--access_log", action="store_true", help="write a line for each request")


def serve_command(flags: Any) -> None:
    """Serve as the command line's flags say, until a signal ends it.

    Raises:
        InputError: a flag, the model or the index is wrong, or a package is missing.
    """
    try:
        from prerank.service import running
    except ModuleNotFoundError as error:
        raise InputError(f"prerank serve needs the package {error.name}: pip install 'prerank[serve]'") from error
    limit_threads()
    _check_other(flags)
    names = ("workers", "concurrency", "queue", "timeout", "max_body", "max_items", "max_users", "access_log")
    settings = Settings(
        flags.model.absolute(),
        running.absolute(flags.index),
        **{name: getattr(flags, name) for name in names},
        other=running.absolute(flags.other),
        other_index=running.absolute(flags.other_index),
        share=flags.share or 0.0,
    )
    with running.bind(flags.host, flags.port) as bound:
        if not running.is_loopback(flags.host):
            print(f"--host {flags.host}: whoever reaches this address can ask; there are no passwords", file=sys.stderr)
        running.serve(settings, bound, write)


def _check_other(flags: Any) -> None:
    if flags.other is None:
        for name in ("other_index", "share", "shadow"):
            if getattr(flags, name):
                raise InputError(f"--{name} needs --other")
    elif (flags.share is not None) == flags.shadow:
        raise InputError("--other: expected either --share, for some of the users, or --shadow")
