"""The login of the page: a key for a cookie."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from ktclient.gateway.access import session
from ktclient.gateway.access.callers import Access
from ktclient.gateway.access.keys import LONGEST, is_expired
from ktclient.gateway.wire.errors import ApiError
from ktclient.gateway.wire.requests import body_of, fields_of, gateway_of

_FORM = "application/x-www-form-urlencoded"
_LARGEST_BODY = 10_000


def routes() -> list[BaseRoute]:
    """The routes of this room."""
    return [
        Route("/login", _login, methods=["POST"]),
        Route("/logout", _logout, methods=["POST"]),
        Route("/session", _session, methods=["GET"]),
    ]


async def _session(request: Request) -> Response:
    """{"is_needed": whether requests need a key, "name": of the caller's key or null,
    "is_admin"}."""
    access = _access(request)
    is_needed = await access.is_needed(request.scope)
    key = await access.key_of(request.scope)
    name = None if key is None else key.name
    is_admin = not is_needed or (key is not None and key.is_admin)
    found = {"is_needed": is_needed, "name": name, "is_admin": is_admin}
    return JSONResponse(found, headers={"cache-control": "no-store"})


async def _login(request: Request) -> Response:
    access = _access(request)
    if not await access.is_needed(request.scope):
        raise ApiError(400, "there are no keys, so no login is needed", code="no_key_needed")
    given = await _given_key(request)
    key = (await access.ring.known()).of(given) if len(given) <= LONGEST else None
    if key is None or is_expired(key):
        raise access.refusal(request.scope, key)
    cookie = await gateway_of(request).threads.check(access.sessions.begin, key)
    return _with_cookie(request, cookie, {"name": key.name, "is_admin": key.is_admin})


async def _logout(request: Request) -> Response:
    cookie = session.cookie_of(request.scope)
    if cookie is not None:
        _access(request).sessions.end(cookie)
    return _with_cookie(request, "", {"name": None, "is_admin": False})


async def _given_key(request: Request) -> str:
    body = await body_of(request, most=_LARGEST_BODY)
    if _is_form(request):
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=10).get("key", [""])[0]
    given = fields_of(body).get("key")
    if not isinstance(given, str):
        raise ApiError(400, "key: a text is needed", param="key")
    return given.strip()


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM


def _with_cookie(request: Request, cookie: str, said: dict[str, object]) -> Response:
    is_secure = request.url.scheme == "https" or (
        _access(request).rules.is_behind_proxy
        and request.headers.get("x-forwarded-proto", "").lower() == "https"
    )
    answer: Response = RedirectResponse("/", 303) if _is_form(request) else JSONResponse(said)
    answer.headers["set-cookie"] = session.set_cookie(cookie, is_secure)
    answer.headers["cache-control"] = "no-store"
    return answer


def _access(request: Request) -> Access:
    found: Access = request.app.state.access
    return found
