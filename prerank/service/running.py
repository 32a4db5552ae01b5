"""Binds the address and runs one process, or several that are started again when they die."""

import os
import socket
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from prerank.errors import InputError
from prerank.preranker import PreRanker
from prerank.service.settings import Settings
from prerank.service.variants import Variants
from prerank.threads import limit_threads

_BACKLOG = 2048
_DRAIN = 5.0
"""Seconds that a stopping process waits for its requests, on top of the time that a request has."""
_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def bind(host: str, port: int) -> socket.socket:
    """A socket at an address.

    Raises:
        InputError: the address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, UnicodeError) as error:
        raise InputError(f"--host {host} --port {port}: cannot listen there: {error}") from error
    bound.set_inheritable(True)
    return bound


def serve(settings: Settings, bound: socket.socket, say: Callable[[str], None]) -> None:
    """Serve until a signal ends it. SIGTERM and SIGINT let the requests that are under way end.

    Args:
        settings: what to serve.
        bound: where to listen.
        say: takes a line as soon as the address and the model are known to be good.

    Raises:
        InputError: model or index is missing, damaged, or they do not belong together.
    """
    variants = Variants.open(settings)
    host, port = bound.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    workers = f"{settings.workers} worker{'s' * (settings.workers > 1)}"
    say(f"serving {_about(variants.main)}, at {address} with {workers}")
    if variants.other is not None:
        share = f"{settings.share:.1%} of the users" if settings.share else "each request, unheard"
        say(f"the other model, {_about(variants.other)}, answers {share}")
    if settings.workers == 1:
        uvicorn.Server(_config(settings, partial(_app, settings, variants))).run([bound])
        return
    del variants
    with tempfile.TemporaryDirectory(prefix="prerank-metrics-") as folder:
        os.environ[_METRICS_FOLDER] = folder  # read when a worker imports Prometheus' client
        Multiprocess(_config(settings, partial(_worker, settings)), [bound]).run()


def _config(settings: Settings, make: Callable[[], Starlette]) -> uvicorn.Config:
    return uvicorn.Config(
        make,
        factory=True,
        workers=settings.workers,
        backlog=_BACKLOG,
        log_level="info" if settings.access_log else "warning",
        access_log=settings.access_log,
        server_header=False,
        timeout_graceful_shutdown=int(settings.timeout + _DRAIN),
    )


def _about(ranker: PreRanker) -> str:
    return f"{ranker.model_name}, index {ranker.version} of {len(ranker)} items"


def _app(settings: Settings, variants: Variants) -> Starlette:
    from prerank.service.app import Service  # imports Prometheus' client

    return Service(settings, variants).app()


def _worker(settings: Settings) -> Starlette:
    """The application of a worker process. The index is mapped, so that the workers share its memory."""
    limit_threads()
    try:
        return _app(settings, Variants.open(settings))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(1) from error  # the parent starts another, which may find the files whole


def is_loopback(host: str) -> bool:
    """Whether a host is this machine only."""
    return host in ("localhost", "::1") or host.startswith("127.")


def absolute(path: Path | None) -> Path | None:
    """A path that workers find wherever they start."""
    return None if path is None else path.absolute()
