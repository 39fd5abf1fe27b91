"""GET /healthz: whether the gateway can serve; needs no key, and tells nothing about jobs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from jobs.errors import KtjobError
from ktclient.gateway.wire.requests import gateway_of


def routes() -> list[BaseRoute]:
    return [Route("/healthz", _healthz, methods=["GET"])]


async def _healthz(request: Request) -> Response:
    """`status` is "ok" if jobs can be read, else 503: nothing can be accepted or retrieved then."""
    gateway = gateway_of(request)
    try:
        await gateway.threads.store(lambda store: store.counts())
    except KtjobError as error:
        # Without its message, which names folders of this machine.
        return JSONResponse({"status": "unavailable", "cause": error.cause}, 503)
    return JSONResponse({"status": "ok"})
