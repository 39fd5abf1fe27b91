"""Who sent a request: by the key in its Authorization header, or by the page's cookie."""

from __future__ import annotations

import asyncio
import math
import sys

from jobs.store.http.values import ApiKey
from ktclient.gateway.access import hosts, session
from ktclient.gateway.access.asgi import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    header_of,
    send_error,
)
from ktclient.gateway.access.keys import LONGEST, KeyRing, Known, is_expired
from ktclient.gateway.access.open_requests import Open, OpenRequests
from ktclient.gateway.access.openness import is_loopback
from ktclient.gateway.access.rate import TRIES, Tries, address_of
from ktclient.gateway.access.rules import Rules
from ktclient.gateway.access.session import Sessions
from ktclient.gateway.context import Caller
from ktclient.gateway.wire.errors import AUTHENTICATION, RATE, ApiError
from ktclient.gateway.wire.requests import CALLER

KEY_NAME = "ktjob.key_name"
"""The key of a request's scope for the name of its API key: for the log."""
_PUBLIC = frozenset({"/healthz", "/", "/favicon.ico", "/session"})
_FILES = "/static/"
"""The page's own files, which hold no data."""
_LOGIN = frozenset({"/login", "/logout"})

_STRANGER = Caller(owner="-", is_admin=False)
"""Whoever asks for what needs no key: sees nothing of anybody."""


class Access:
    """The keys of one gateway, and what is remembered of those who use them."""

    def __init__(self, ring: KeyRing, sessions: Sessions, rules: Rules) -> None:
        self.ring, self.sessions, self.rules = ring, sessions, rules
        self.tries = Tries()
        self.open_requests = OpenRequests(ring)

    async def key_of(self, scope: Scope) -> ApiKey | None:
        """The valid key of a request; None if it has none that counts. Raises `ApiError`."""
        key = _key(scope, await self.ring.known(), self.sessions)
        return None if key is None or is_expired(key) else key

    async def is_needed(self, scope: Scope) -> bool:
        """Whether requests need a key: once there is one, and always where others than this
        machine can send them. Raises `ApiError`."""
        return (await self.ring.known()).are_needed or not is_loopback(_local_address(scope))

    def refusal(self, scope: Scope, key: ApiKey | None) -> ApiError:
        """The error for a request whose key is missing, unknown or expired: one of the tries of its
        address."""
        seconds = self.tries.note(address_of(scope, self.rules.is_behind_proxy))
        if seconds:
            return ApiError(
                429,
                f"more than {TRIES} requests a minute without a valid API key came from this "
                "address. Valid keys still work",
                RATE,
                "too_many_invalid_keys",
                headers={"retry-after": str(math.ceil(seconds))},
            )
        code, words = "invalid_api_key", "this API key is unknown, or was removed"
        if key is not None:
            code, words = "expired_api_key", f"the API key {key.name} expired at {key.expires_at}"
        elif _sent_key(scope) is None and session.cookie_of(scope) is None:
            words = "the request has no API key: send the header Authorization: Bearer KEY"
        return ApiError(
            401,
            f"{words}. `ktjob serve keys add NAME`, on the gateway's machine, makes a new one",
            AUTHENTICATION,
            code,
            headers={"www-authenticate": 'Bearer realm="ktjob"'},
        )


class Callers:
    """The middleware that lets a request pass with its `Caller`, or refuses it."""

    def __init__(self, app: App, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_public(scope):
            scope[CALLER] = _STRANGER
            await self._app(scope, receive, send)
            return
        try:
            key = await self._key(scope)
        except ApiError as error:
            await send_error(send, error)
            return
        if key is None:
            scope[CALLER] = Caller()
            await self._app(scope, receive, send)
            return
        scope[CALLER] = Caller(owner=key.id, is_admin=key.is_admin)
        scope[KEY_NAME] = key.name
        await self._answer(scope, receive, send, key)

    async def _key(self, scope: Scope) -> ApiKey | None:
        """The key that counts; None where none is needed. Raises `ApiError`."""
        if not await self._access.is_needed(scope):
            return None
        key = _key(scope, await self._access.ring.known(), self._access.sessions)
        if key is None or is_expired(key):
            raise self._access.refusal(scope, key)
        return key

    async def _answer(self, scope: Scope, receive: Receive, send: Send, key: ApiKey) -> None:
        """Answer as long as the key is valid."""
        has_begun = False

        async def send_noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        with self._access.open_requests.one(key.id) as one:
            try:
                await self._app(scope, receive, send_noted)
                return
            except asyncio.CancelledError:
                if not one.is_ended:
                    raise
                _accept_end(one)
        # Returning without an end cuts the connection: its client knows that something is missing.
        if not has_begun:
            await send_error(send, self._access.refusal(scope, None))


def _accept_end(one: Open) -> None:
    if sys.version_info >= (3, 11):  # which counts cancellations
        one.task.uncancel()


def _is_public(scope: Scope) -> bool:
    path, method = scope["path"], scope["method"]
    if method == "POST":
        return path in _LOGIN
    return method in ("GET", "HEAD") and (path in _PUBLIC or path.startswith(_FILES))


def _local_address(scope: Scope) -> str:
    return str((scope.get("server") or ("",))[0])


def _key(scope: Scope, known: Known, sessions: Sessions) -> ApiKey | None:
    """The key of a request, also an expired one. A header counts before a cookie; a cookie counts
    only from our own pages."""
    sent = _sent_key(scope)
    if sent is not None:
        return known.of(sent) if len(sent) <= LONGEST else None
    cookie = session.cookie_of(scope)
    if cookie is None or not hosts.own_origin(scope):
        return None
    key_id = sessions.key_id(cookie)
    return None if key_id is None else known.of_id(key_id)


def _sent_key(scope: Scope) -> str | None:
    scheme, _, key = (header_of(scope, "authorization") or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None
