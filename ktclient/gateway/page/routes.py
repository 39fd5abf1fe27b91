"""The page's routes: its files, its feed, its form, and what its buttons do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources
from urllib.parse import unquote

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from jobs.errors import IllegalTransition
from jobs.model import Job
from jobs.store.http.store import HttpStore
from ktclient.gateway import visibility
from ktclient.gateway.page import actions, conversation, queue, submit
from ktclient.gateway.page.board import Board
from ktclient.gateway.page.feed import Feed, Page
from ktclient.gateway.page.submit import Form
from ktclient.gateway.wire import event_stream
from ktclient.gateway.wire.errors import ApiError
from ktclient.gateway.wire.requests import LEASE, caller_of, gateway_of, short_fields_of
from ktclient.records import snapshot

HEADERS = {
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    # Asked again each time, so that a page is never half of one version and half of another.
    "cache-control": "no-cache",
}
TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
MARK = "x-ktjob-page"
"""A header that the page's own requests have. A form of another site cannot send it, and a script
of one is not allowed to."""
_OLDER = 50
_MOST_FIELDS = 200
_PART_BYTES = 100_000_000
"""Of a text that is pasted; files are bounded by the body."""


def routes() -> list[BaseRoute]:
    """Everything outside /v1 that the page needs."""
    return [
        Route("/", _index),
        Route("/static/{name}", _static),
        Route("/events", _events),
        Route("/page/setup", _setup),
        Route("/page/older", _older),
        Route("/page/check", _own(_check), methods=["POST"]),
        Route("/page/jobs", _own(_submit), methods=["POST"]),
        Route("/page/jobs/{id}/answer", _answer),
        Route("/page/jobs/{id}/document", _document),
        Route("/page/jobs/{id}/messages", _messages),
        Route("/page/jobs/{id}/cancel", _own(_cancel), methods=["POST"]),
        Route("/page/jobs/{id}/retry", _own(_retry), methods=["POST"]),
        Route("/page/jobs/{id}/ask", _own(_ask), methods=["POST"]),
        Route("/page/jobs/{id}/delete", _own(_delete), methods=["POST"]),
    ]


_Handler = Callable[[Request], Awaitable[Response]]


def _own(handler: _Handler) -> _Handler:
    """For the page's own requests only."""

    async def checked(request: Request) -> Response:
        if MARK not in request.headers:
            raise ApiError(403, f"only the page may ask for this: the header {MARK} is missing")
        return await handler(request)

    return checked


async def _index(request: Request) -> Response:
    return _file("index.html")


async def _static(request: Request) -> Response:
    return _file(request.path_params["name"])


def _file(name: str) -> Response:
    """One of our own files, by its bare name."""
    suffix = name.rpartition(".")[2]
    folder = resources.files("ktclient.gateway.page") / "static"
    if suffix in TYPES and name in {one.name for one in folder.iterdir()}:
        body = (folder / name).read_bytes()
        return Response(body, headers={**HEADERS, "content-type": TYPES[suffix]})
    raise ApiError(404, f"the page has no file {name!r}", code="not_found")


async def _events(request: Request) -> Response:
    seen = request.headers.get("last-event-id") or request.query_params.get("seen", "")
    caller = caller_of(request)

    async def may_look() -> bool:
        """A key's stream is cut with the key; one without a key ends with the first key."""
        return bool(caller.owner) or not await request.app.state.access.is_needed(request.scope)

    page = Page(caller, request.query_params.get("job") or None, seen, may_look)
    feed = Feed(gateway_of(request), _board(request), page)
    return event_stream.response(feed.events(), {"x-content-type-options": "nosniff"})


def _board(request: Request) -> Board:
    """One for each gateway, made for its first page."""
    state = request.app.state
    if not hasattr(state, "page_board"):
        state.page_board = Board(gateway_of(request))
    board: Board = state.page_board
    return board


async def _setup(request: Request) -> Response:
    gateway = gateway_of(request)
    return _json(await gateway.threads.check(submit.setup, gateway.settings))


async def _older(request: Request) -> Response:
    text = request.query_params.get("skip", "0")
    skip = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
    owner = caller_of(request).sees
    found = await gateway_of(request).threads.store(queue.older, owner, skip, _OLDER)
    return _json({"jobs": found})


async def _check(request: Request) -> Response:
    gateway = gateway_of(request)
    form = await _form(request)
    found = await gateway.threads.check(submit.check, form, gateway.settings, caller_of(request))
    return _json(found)


async def _submit(request: Request) -> Response:
    gateway = gateway_of(request)
    form = await _form(request)
    ids = await gateway.threads.check(submit.store, form, gateway.settings, caller_of(request))
    return _json({"ids": ids})


async def _form(request: Request) -> Form:
    """A multipart body; its bytes are bounded before they come here."""
    lease, announced = request.scope[LEASE], request.headers.get("content-length", "")
    is_announced = announced.isdecimal()
    await lease.take(int(announced) if is_announced else 0)
    files, fields = [], {}
    async with request.form(
        max_files=submit.MOST_FILES, max_fields=_MOST_FIELDS, max_part_size=_PART_BYTES
    ) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                await lease.take(0 if is_announced else value.size or 0)
                files.append((_name(name, value), await value.read()))
            else:
                fields[name] = value
    return Form(files, fields)


def _name(part: str, file: UploadFile) -> str:
    """A file's own name: in that of its part as the page sends it, unchanged by the browser."""
    given = part.removeprefix("file:")
    return (file.filename or "") if given == part else unquote(given)


async def _visible(request: Request) -> Job:
    gateway = gateway_of(request)
    given = request.path_params["id"]
    found = await gateway.threads.store(visibility.find, caller_of(request), given, "")
    return found.job


async def _cancel(request: Request) -> Response:
    gateway, job = gateway_of(request), await _visible(request)
    await gateway.threads.check(actions.cancel, job, gateway.settings)
    return _json({"id": job.id})


async def _retry(request: Request) -> Response:
    gateway, job = gateway_of(request), await _visible(request)
    caller = caller_of(request)
    return _json(
        {"id": await _allowed(gateway.threads.check(actions.retry, job, gateway.settings, caller))}
    )


async def _ask(request: Request) -> Response:
    gateway, job = gateway_of(request), await _visible(request)
    question = (await short_fields_of(request)).get("question")
    if not isinstance(question, str):
        raise ApiError(400, "question must be text", param="question")
    new = await gateway.threads.check(
        actions.ask, job, question, gateway.settings, caller_of(request)
    )
    return _json({"id": new})


async def _delete(request: Request) -> Response:
    gateway, job = gateway_of(request), await _visible(request)
    await _allowed(gateway.threads.check(actions.delete, job, gateway.settings))
    return _json({"id": job.id})


async def _allowed(done: Awaitable[str | None]) -> str | None:
    """What a job's state forbids is the caller's error."""
    try:
        return await done
    except IllegalTransition as error:
        raise ApiError(409, str(error), code="wrong_state") from error


async def _answer(request: Request) -> Response:
    job = await _visible(request)
    text = await gateway_of(request).threads.store(_answer_of, job)
    return _download(text.encode("utf-8", "replace"), f"{job.id}-answer.md", "text/markdown")


def _answer_of(store: HttpStore, job: Job) -> str:
    return snapshot.answer(store, store.job(job.id))


async def _document(request: Request) -> Response:
    job = await _visible(request)
    body = await gateway_of(request).threads.store(HttpStore.document, job.document)
    return _download(body, f"{job.id}-document.txt", "text/plain")


async def _messages(request: Request) -> Response:
    job = await _visible(request)
    return _json({"messages": await gateway_of(request).threads.store(conversation.messages, job)})


def _download(body: bytes, name: str, kind: str) -> Response:
    """Never shown by the browser itself, and named by the job's id: a document's own name is
    foreign text."""
    headers = {
        **HEADERS,
        "content-type": f"{kind}; charset=utf-8",
        "content-disposition": f'attachment; filename="{name}"',
        "cache-control": "no-store",
    }
    return Response(body, headers=headers)


def _json(data: object) -> Response:
    return JSONResponse(
        data, headers={"cache-control": "no-store", "x-content-type-options": "nosniff"}
    )
