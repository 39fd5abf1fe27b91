"""The page's routes: its files, its feed, its form, and what its buttons do."""

from __future__ import annotations

from importlib import resources
from urllib.parse import unquote

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from jobs.model import Job
from jobs.store.http.store import HttpStore
from ktclient.gateway.page import (
    change_routes,
    conversation,
    export_routes,
    queue,
    search,
    submit,
)
from ktclient.gateway.page.board import Board
from ktclient.gateway.page.feed import Feed, Opened, Page
from ktclient.gateway.page.own_requests import HEADERS, attachment, json_answer, own, visible
from ktclient.gateway.page.search import Wanted
from ktclient.gateway.page.submit import Form
from ktclient.gateway.wire import event_stream
from ktclient.gateway.wire.errors import ApiError
from ktclient.gateway.wire.requests import LEASE, caller_of, gateway_of
from ktclient.records import snapshot

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_OLDER = 50
_MOST_WORDS = 1000
"""Characters of a search."""
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
        Route("/page/search", _search),
        Route("/page/servers", _servers),
        Route("/page/check", own(_check), methods=["POST"]),
        Route("/page/jobs", own(_submit), methods=["POST"]),
        Route("/page/jobs/{id}/answer", _answer),
        Route("/page/jobs/{id}/document", _document),
        Route("/page/jobs/{id}/messages", _messages),
        *change_routes.routes(),
        *export_routes.routes(),
    ]


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

    opened = Opened(
        request.query_params.get("job") or None, request.query_params.get("group") or None
    )
    page = Page(caller, opened, seen, may_look)
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
    found = await gateway.threads.check(submit.setup, gateway.settings)
    return json_answer({**found, "sees_all": caller_of(request).sees is None})


async def _older(request: Request) -> Response:
    text = request.query_params.get("skip", "0")
    skip = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
    owner = caller_of(request).sees
    found = await gateway_of(request).threads.store(queue.older, owner, skip, _OLDER)
    return json_answer({"jobs": found})


async def _search(request: Request) -> Response:
    """Jobs that have all words of `q`, newest first; with `documents`, also in documents."""
    query = request.query_params
    wanted = Wanted(query.get("q", "")[:_MOST_WORDS], is_in_documents="documents" in query)
    found = await search.run(gateway_of(request), caller_of(request), wanted)
    return json_answer(found)


async def _servers(request: Request) -> Response:
    """What `ktjob servers` shows. Asks each server, for six seconds at most."""
    return json_answer({"servers": await _board(request).reports()})


async def _check(request: Request) -> Response:
    gateway = gateway_of(request)
    form = await _form(request)
    found = await gateway.threads.check(submit.check, form, gateway.settings, caller_of(request))
    return json_answer(found)


async def _submit(request: Request) -> Response:
    gateway = gateway_of(request)
    form = await _form(request)
    ids = await gateway.threads.check(submit.store, form, gateway.settings, caller_of(request))
    return json_answer({"ids": ids})


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


async def _answer(request: Request) -> Response:
    job = await visible(request)
    text = await gateway_of(request).threads.store(_answer_of, job)
    return attachment(text.encode("utf-8", "replace"), f"{job.id}-answer.md", "text/markdown")


def _answer_of(store: HttpStore, job: Job) -> str:
    return snapshot.answer(store, store.job(job.id))


async def _document(request: Request) -> Response:
    job = await visible(request)
    body = await gateway_of(request).threads.store(HttpStore.document, job.document)
    return attachment(body, f"{job.id}-document.txt", "text/plain")


async def _messages(request: Request) -> Response:
    job = await visible(request)
    return json_answer(
        {"messages": await gateway_of(request).threads.store(conversation.messages, job)}
    )
