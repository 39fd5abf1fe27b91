"""GET /metrics for Prometheus. Where there are keys it needs an admin's: it counts all jobs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ktclient._version import __version__
from ktclient.gateway import metrics
from ktclient.gateway.metrics import Counted
from ktclient.gateway.wire.requests import gateway_of, require_admin


def routes() -> list[BaseRoute]:
    return [Route("/metrics", _metrics, methods=["GET"])]


async def _metrics(request: Request) -> Response:
    require_admin(request)
    gateway = gateway_of(request)
    counts = gateway.counts
    # This scrape itself is no work that anybody wants to watch.
    counted = Counted(
        dict(counts.requests), counts.open_requests - 1, gateway.watch.watchers, __version__
    )
    text, content_type = await gateway.threads.store(metrics.exposition, counted)
    return Response(text, headers={"content-type": content_type})
