"""The ASGI application: routes, errors, and what each request may cost."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from prerank.errors import RequestError
from prerank.preranker import PreRanker
from prerank.scored import Scored
from prerank.service import messages
from prerank.service.admission import Admission, BusyError
from prerank.service.description import document, page
from prerank.service.metrics import Metrics
from prerank.service.settings import Settings
from prerank.service.variants import Shadow, Variants, describe

_log = logging.getLogger(__name__)
_LOOK = 1.0
"""Seconds between two looks for another version of the index."""
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_RETRY = {"Retry-After": "1"}
Handler = Callable[[Request], Awaitable[Response]]


class _RefusedError(Exception):
    """A request without a result."""

    def __init__(self, status: int, reason: str, message: str, field: str | None = None):
        super().__init__(message)
        self.status, self.reason, self.field = status, reason, field


class Service:
    """The handlers of one process.

    Args:
        settings: what requests may cost.
        variants: the model with its index, or two.
    """

    def __init__(self, settings: Settings, variants: Variants):
        self._settings, self._variants = settings, variants
        self._admission = Admission(settings.concurrency, settings.queue)
        other = variants.other
        self._metrics = Metrics(variants.main.about_index, None if other is None else other.about_index)
        self._shadow = None if other is None or settings.share else Shadow(other, self._metrics.count_shadow)
        self._document = document(variants.main, settings)
        self._ready = False

    def app(self) -> Starlette:
        """The application."""
        routes = [
            Route("/v1/top", partial(self._answer, "top"), methods=["POST"]),
            Route("/v1/score", partial(self._answer, "score"), methods=["POST"]),
            Route("/healthz", self._health),
            Route("/readyz", self._readiness),
            Route("/metrics", self._show_metrics),
            Route("/openapi.json", self._openapi),
            Route("/docs", self._docs),
        ]
        handlers = {HTTPException: _plain_error, Exception: _broken}
        return Starlette(routes=routes, lifespan=self._lifespan, exception_handlers=handlers)  # type: ignore[arg-type]

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        for ranker in self._variants.all.values():
            await asyncio.to_thread(ranker.load)
        looking = asyncio.create_task(self._look())
        self._ready = True
        try:
            yield
        finally:
            self._ready = False
            looking.cancel()
            if self._shadow is not None:
                self._shadow.close()
            self._admission.close()

    async def _look(self) -> None:
        """Pick up a replaced index beside the requests, so that none waits for it."""
        while True:
            await asyncio.sleep(_LOOK)
            for ranker in self._variants.all.values():
                await asyncio.to_thread(ranker.refresh)

    async def _answer(self, endpoint: str, request: Request) -> Response:
        start = time.perf_counter()
        try:
            with self._admission.place(), self._metrics.inside.track_inprogress():
                response = await self._bounded(endpoint, request)
        except BusyError:
            response = self._refuse(_RefusedError(429, "busy", "too many requests at a time, try again"))
        except ClientDisconnect:
            response = self._refuse(_RefusedError(400, "disconnected", "the request ended before its body"))
        self._metrics.seconds.labels(endpoint).observe(time.perf_counter() - start)
        self._metrics.requests.labels(endpoint, str(response.status_code)).inc()
        return response

    async def _bounded(self, endpoint: str, request: Request) -> Response:
        """The answer within the time that a request has."""
        reading = True
        try:
            async with asyncio.timeout(self._settings.timeout):
                body = await self._body(request)
                reading = False
                return Response(
                    await self._admission.run(partial(self._compute, endpoint, body)), media_type="application/json"
                )
        except TimeoutError:
            late = f"not {'received' if reading else 'answered'} within {self._settings.timeout:g} s"
            return self._refuse(_RefusedError(408 if reading else 503, "timeout", late))
        except RequestError as error:
            return self._refuse(_RefusedError(400, "input", str(error), error.field))
        except _RefusedError as error:
            return self._refuse(error)

    async def _body(self, request: Request) -> bytes:
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise _RefusedError(415, "input", f"expected Content-Type: application/json. Received: {kind[:100]}")
        most = self._settings.max_body
        too_large = _RefusedError(413, "body", f"expected a body of at most {most:,} bytes")
        with suppress(ValueError):  # a server refuses a length that is no number
            if int(request.headers.get("content-length", 0)) > most:
                raise too_large
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > most:
                raise too_large
        return bytes(body)

    def _compute(self, endpoint: str, body: bytes) -> bytes:
        """The body of an answer. Runs in a thread of its own."""
        kind = messages.KINDS[endpoint]  # type: ignore[index]
        message, users, batch = messages.parse(body, kind, self._settings.max_items, self._settings.max_users)
        ask = partial(_ask, message)
        answered = self._variants.ask(users, ask)
        found = [one.scored for one in answered]
        if self._shadow is not None:
            self._shadow.submit(users, ask, found)
        self._metrics.unknown.inc(sum(len(one.unknown) for one in found))
        self._metrics.scored.inc(sum(len(one.ids) for one in found))
        for one in answered:
            self._metrics.variants.labels(one.variant).inc()
        answers = [one.scored.to_dict() | self._variants.about(one.variant) for one in answered]
        return json.dumps({"results": answers} if batch else answers[0], allow_nan=False).encode()

    def _refuse(self, error: _RefusedError) -> Response:
        self._metrics.refused.labels(error.reason).inc()
        headers = dict(_RETRY) if error.status in (429, 503) else {}
        if error.status in (408, 413):
            headers["Connection"] = "close"  # the rest of the body is not read
        return JSONResponse({"error": str(error), "field": error.field}, error.status, headers)

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _readiness(self, _: Request) -> Response:
        if not self._ready:
            return JSONResponse({"status": "not ready"}, 503, _RETRY)
        return JSONResponse({"status": "ready"} | describe(self._variants.all))

    async def _show_metrics(self, _: Request) -> Response:
        return Response(await asyncio.to_thread(self._metrics.text), media_type=_METRICS_TYPE)

    async def _openapi(self, _: Request) -> Response:
        return JSONResponse(self._document)

    async def _docs(self, _: Request) -> Response:
        headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return HTMLResponse(page(self._document), headers=headers)


def _ask(message: messages.Message, ranker: PreRanker, users: list[messages.User]) -> list[Scored]:
    if isinstance(message, messages.Top):
        names = ("candidates", "exclude", "strict", "filter", "value", "at_most")
        given = {name: getattr(message, name) for name in names}
        given["reserve"] = [one.given() for one in message.reserve]
        return ranker.top_many(users, message.n, **given)
    assert isinstance(message, messages.Score)
    return ranker.score_many(users, message.candidates, strict=message.strict)


async def _broken(_: Request, error: Exception) -> Response:
    """What nobody foresaw: the server logs it."""
    return JSONResponse({"error": f"internal error: {type(error).__name__}", "field": None}, 500)


async def _plain_error(_: Request, error: HTTPException) -> Response:
    """What Starlette answers itself, such as 404, in the form of all errors."""
    return JSONResponse({"error": error.detail, "field": None}, error.status_code, error.headers)
