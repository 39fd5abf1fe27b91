"""The application: all routes, and what surrounds each of them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from jobs.errors import KtjobError
from ktclient.gateway import health_routes, metrics_routes, models_routes
from ktclient.gateway.access import envelope
from ktclient.gateway.access import routes as access_routes
from ktclient.gateway.access.callers import Access, Callers
from ktclient.gateway.access.cors import Origins
from ktclient.gateway.access.envelope import Envelope
from ktclient.gateway.access.keys import KeyRing
from ktclient.gateway.access.session import Sessions
from ktclient.gateway.access.shape import Shape
from ktclient.gateway.batches import routes as batch_routes
from ktclient.gateway.chat import routes as chat_routes
from ktclient.gateway.context import Gateway
from ktclient.gateway.files import routes as file_routes
from ktclient.gateway.page import routes as page_routes
from ktclient.gateway.responses import routes as response_routes
from ktclient.gateway.wire import errors
from ktclient.gateway.wire.errors import ApiError
from ktclient.gateway.wire.requests import ClientGone

_GONE = 499
"""As nginx logs a client that went; nobody gets it."""


def make(gateway: Gateway) -> ASGIApp:
    """The application of a gateway."""
    app = Starlette(
        routes=_routes(),
        exception_handlers={
            ApiError: _api_error,
            KtjobError: _our_error,
            HTTPException: _http_error,
            ClientGone: _client_gone,
            # Starlette answers, and raises it again: the envelope logs it.
            Exception: _unexpected,
        },
        lifespan=_lifespan,
    )
    ring = KeyRing(gateway.threads)
    access = Access(ring, Sessions(gateway.settings.state), gateway.rules)
    app.state.gateway, app.state.access = gateway, access
    return _surrounded(app, gateway, access)


def _surrounded(app: ASGIApp, gateway: Gateway, access: Access) -> ASGIApp:
    """The application inside of what each request passes, from the last to the first."""
    inner = Shape(Origins(Callers(app, access), gateway.rules), gateway.limits)
    return gateway.counts.counting(Envelope(inner))


def _routes() -> list[BaseRoute]:
    return [
        *models_routes.routes(),
        *health_routes.routes(),
        *metrics_routes.routes(),
        *access_routes.routes(),
        *chat_routes.routes(),
        *response_routes.routes(),
        *file_routes.routes(),
        *batch_routes.routes(),
        *page_routes.routes(),
    ]


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    gateway: Gateway = app.state.gateway
    gateway.watch.start()
    try:
        yield
    finally:
        gateway.watch.stop()
        gateway.models.close()
        gateway.threads.close()


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


async def _client_gone(request: Request, error: Exception) -> Response:
    return Response(status_code=_GONE)


async def _unexpected(request: Request, error: Exception) -> Response:
    return await _api_error(request, envelope.unexpected(request.scope))
