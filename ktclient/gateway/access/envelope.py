"""What surrounds every request: its id, its line in the log, and an answer to what went wrong.

A log line names method, path, status, id, key name and seconds: never a query, a header or a body.
Of an unexpected error only its kind and its places in the code are logged, because its words may
repeat what a client sent.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import traceback

from ktclient.gateway.access.asgi import App, Message, Receive, Scope, Send, send_error
from ktclient.gateway.access.callers import KEY_NAME
from ktclient.gateway.wire.errors import SERVER, ApiError
from ktclient.gateway.wire.event_stream import Cut
from ktclient.gateway.wire.requests import ClientGone
from ktclient.wording import quote

_LOG = logging.getLogger("ktjob.gateway")
_LONGEST_PATH = 200
_NAME = "ktjob.request_id"
"""The key of a request's scope with its id."""


class Envelope:
    """The outermost middleware."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = f"req_{secrets.token_hex(12)}"
        scope[_NAME] = name
        start, status = time.monotonic(), 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.get("headers", [])
                message["headers"] = [*headers, (b"x-request-id", name.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except (Cut, ClientGone):
            pass  # returning without an end closes the connection, without its last chunk
        except asyncio.CancelledError:  # the gateway stops: its streams are cut
            if not status:
                await send_error(send_named, _stopping())
        except Exception as error:
            _log_error(name, error)
            if not status:
                await send_error(send_named, unexpected(scope))
        finally:
            _log_line(scope, name, status, time.monotonic() - start)


def _stopping() -> ApiError:
    words = "the gateway is being stopped. What it accepted is kept: send the request again later"
    return ApiError(503, words, SERVER, "gateway_stopping", is_curable=True)


def unexpected(scope: Scope) -> ApiError:
    """The answer to a request at which the gateway failed."""
    words = f"the gateway failed at this request; its log says where (id {scope[_NAME]})"
    return ApiError(500, words, SERVER, "internal_error")


def _log_error(name: str, error: Exception) -> None:
    places = traceback.extract_tb(error.__traceback__)
    said = ", ".join(f"{place.filename}:{place.lineno} {place.name}" for place in places)
    _LOG.error("%s: an unexpected %s: %s", name, type(error).__name__, said)


def _log_line(scope: Scope, name: str, status: int, seconds: float) -> None:
    path = quote(scope["path"])[:_LONGEST_PATH]
    who = scope.get(KEY_NAME, "-")
    _LOG.info("%s %s %s %s %s %.3f s", scope["method"], path, status or "-", name, who, seconds)
