"""The application: all routes, and what surrounds each of them."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.errors import KtjobError
from ktclient.gateway.context import Caller, Gateway
from ktclient.gateway.page import routes as page_routes
from ktclient.gateway.wire import errors
from ktclient.gateway.wire.errors import ApiError
from ktclient.gateway.wire.requests import CALLER

_LOG = logging.getLogger("ktjob")


def make(gateway: Gateway) -> ASGIApp:
    """The application of a gateway."""
    app = Starlette(
        routes=_routes(),
        exception_handlers={
            ApiError: _api_error,
            KtjobError: _our_error,
            HTTPException: _http_error,
        },
        lifespan=_lifespan,
    )
    app.state.gateway = gateway
    return _Named(app)


def _routes() -> list[BaseRoute]:
    return [Route("/healthz", _healthz), *page_routes.routes()]


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    gateway: Gateway = app.state.gateway
    gateway.watch.start()
    try:
        yield
    finally:
        gateway.watch.stop()
        gateway.threads.close()


async def _healthz(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body, error.status, error.all_headers)


async def _our_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, KtjobError)
    return await _api_error(request, errors.of(error))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = f"there is no {request.method} {request.url.path} here"
    found = ApiError(error.status_code, words, code="not_found")
    if error.status_code not in (404, 405):
        found = ApiError(error.status_code, str(error.detail))
    return JSONResponse(found.body, found.status, {**found.all_headers, **(error.headers or {})})


class _Named:
    """Gives each request an id, which each answer repeats, and a caller."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = f"req_{secrets.token_hex(12)}"
        scope[CALLER] = Caller()

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = name
            await send(message)

        await self._app(scope, receive, send_named)
