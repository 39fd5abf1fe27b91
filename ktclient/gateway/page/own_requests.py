"""What the page's routes share: who may change something, which job is meant, and the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from jobs.model import Job
from ktclient.gateway import visibility
from ktclient.gateway.wire.errors import ApiError
from ktclient.gateway.wire.requests import caller_of, gateway_of

HEADERS = {
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    # Asked again each time, so that a page is never half of one version and half of another.
    "cache-control": "no-cache",
}
MARK = "x-ktjob-page"
"""A header that the page's own requests have. A form of another site cannot send it, and a script
of one is not allowed to."""

Handler = Callable[[Request], Awaitable[Response]]


def own(handler: Handler) -> Handler:
    """For the page's own requests only."""

    async def checked(request: Request) -> Response:
        if MARK not in request.headers:
            raise ApiError(403, f"only the page may ask for this: the header {MARK} is missing")
        return await handler(request)

    return checked


async def visible(request: Request) -> Job:
    """The job of the path. Raises `ApiError` 404, also for one that the caller may not see."""
    gateway = gateway_of(request)
    given = request.path_params["id"]
    found = await gateway.threads.store(visibility.find, caller_of(request), given, "")
    return found.job


def attachment_headers(name: str, kind: str) -> dict[str, str]:
    """Of a file that is never shown by the browser itself; `name` has our own characters only."""
    return {
        **HEADERS,
        "content-type": f"{kind}; charset=utf-8",
        "content-disposition": f'attachment; filename="{name}"',
        "cache-control": "no-store",
    }


def attachment(body: bytes, name: str, kind: str) -> Response:
    """Such a file: named by the job's id, because a document's own name is foreign text."""
    return Response(body, headers=attachment_headers(name, kind))


def json_answer(data: object) -> Response:
    """JSON that no cache keeps."""
    return JSONResponse(
        data, headers={"cache-control": "no-store", "x-content-type-options": "nosniff"}
    )
