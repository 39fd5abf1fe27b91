"""/v1/files and /v1/uploads."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Scope, Send

from jobs.store.http.store import HttpStore
from jobs.store.http.values import NewFile, Upload
from jobs.store.state_dir import StateDir
from ktclient.gateway.context import Caller, Gateway
from ktclient.gateway.files import (
    file_object,
    listing,
    multipart,
    reception,
    storage,
    uploads,
)
from ktclient.gateway.files.file_object import Shown
from ktclient.gateway.files.list_query import ListQuery
from ktclient.gateway.files.reception import Received
from ktclient.gateway.wire.errors import ApiError
from ktclient.gateway.wire.requests import caller_of, gateway_of, short_fields_of

_FILE, _DATA = "file", "data"
_MOST_LISTED = 10_000


def routes() -> list[BaseRoute]:
    """All routes of files and uploads."""
    one, upload = "/v1/files/{file_id}", "/v1/uploads/{upload_id}"
    return [
        Route("/v1/files", _create, methods=["POST"]),
        Route("/v1/files", _list, methods=["GET"]),
        Route(one, _retrieve, methods=["GET"]),
        Route(one, _delete, methods=["DELETE"]),
        Route(f"{one}/content", _content, methods=["GET"]),
        Route("/v1/uploads", _create_upload, methods=["POST"]),
        Route(f"{upload}/parts", _add_part, methods=["POST"]),
        Route(f"{upload}/complete", _complete, methods=["POST"]),
        Route(f"{upload}/cancel", _cancel, methods=["POST"]),
    ]


async def _create(request: Request) -> Response:
    gateway, caller = gateway_of(request), caller_of(request)
    most = gateway.limits.body_bytes
    received = await _received(request, storage.FILE, _FILE, most)
    try:
        new = _new_file(received, caller)
        quota = gateway.limits.quota_bytes
        file = await gateway.threads.store(storage.store_file, new, received.written, quota)
    finally:
        await asyncio.to_thread(received.written.drop)
    return JSONResponse(Shown.of(file).to_json())


async def _received(request: Request, prefix: str, field: str, most: int) -> Received:
    """The form of a request, its file synced to disk. Raises `ApiError`."""
    gateway, caller = gateway_of(request), caller_of(request)
    announced = reception.require_size(request.headers, most, field)
    least, quota = max(0, announced - multipart.OVERHEAD_BYTES), gateway.limits.quota_bytes
    await gateway.threads.store(storage.require_room, caller.owner, least, quota)
    own_id, state = storage.new_id(prefix), gateway.settings.state
    return await reception.receive(request.stream(), request.headers, state, own_id, (field, most))


def _new_file(received: Received, caller: Caller) -> NewFile:
    form = received.form
    return NewFile(
        id=received.written.path.name,
        owner=caller.owner,
        filename=form.filename or _FILE,
        purpose=file_object.purpose(reception.require_field(form, "purpose")),
        bytes=form.size,
        expires_at=file_object.expiry(file_object.lifetime_of_form(form.fields)),
    )


async def _list(request: Request) -> Response:
    gateway, caller = gateway_of(request), caller_of(request)
    query = ListQuery.of(request.query_params, _MOST_LISTED, _MOST_LISTED)
    purpose = request.query_params.get("purpose") or None
    state = gateway.settings.state
    return JSONResponse(await gateway.threads.check(listing.page, state, caller, query, purpose))


async def _retrieve(request: Request) -> Response:
    found = await gateway_of(request).threads.check(listing.find, *_named(request))
    return JSONResponse(found.shown.to_json())


async def _content(request: Request) -> Response:
    found = await gateway_of(request).threads.check(listing.find, *_named(request))
    return _Download(
        found.path,
        media_type="application/octet-stream",
        headers={
            "content-disposition": file_object.disposition(found.shown.filename),
            "x-content-type-options": "nosniff",
        },
    )


class _Download(FileResponse):
    """A file, whole or in part; an error is one as all others are."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def checked(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                words = "the header Range names no part of the file"
                raise ApiError(message["status"], words, code="invalid_range", param="range")
            await send(message)

        try:
            await super().__call__(scope, receive, checked)
        except RuntimeError as error:  # as Starlette says that there is no file any more
            raise ApiError(404, "the file was just deleted", code="not_found") from error


async def _delete(request: Request) -> Response:
    file_id = request.path_params["file_id"]
    await gateway_of(request).threads.check(listing.delete, *_named(request))
    return JSONResponse({"id": file_id, "object": "file", "deleted": True})


def _named(request: Request) -> tuple[StateDir, Caller, str]:
    return gateway_of(request).settings.state, caller_of(request), request.path_params["file_id"]


async def _create_upload(request: Request) -> Response:
    gateway, caller = gateway_of(request), caller_of(request)
    given = await short_fields_of(request)
    quota = gateway.limits.quota_bytes
    upload = await gateway.threads.store(uploads.create, caller.owner, given, quota)
    return JSONResponse(uploads.to_json(upload, None))


async def _add_part(request: Request) -> Response:
    gateway, caller, upload_id = gateway_of(request), caller_of(request), _upload_id(request)
    upload = await gateway.threads.store(uploads.find_pending, caller, upload_id)
    received = await _received(request, storage.PART, _DATA, uploads.MOST_PART_BYTES)
    try:
        quota = gateway.limits.quota_bytes
        is_stored = await gateway.threads.store(
            storage.store_part, upload_id, upload.owner, received.written, quota
        )
    finally:
        await asyncio.to_thread(received.written.drop)
    if not is_stored:
        raise uploads.not_pending(await gateway.threads.store(uploads.find, caller, upload_id))
    return JSONResponse(uploads.part_to_json(received.written.path.name, upload_id))


async def _complete(request: Request) -> Response:
    gateway, caller = gateway_of(request), caller_of(request)
    given, state = await short_fields_of(request), gateway.settings.state
    upload = await gateway.threads.check(
        uploads.complete, state, caller, _upload_id(request), given
    )
    return await _upload_answer(gateway, upload)


async def _cancel(request: Request) -> Response:
    gateway, caller = gateway_of(request), caller_of(request)
    state = gateway.settings.state
    upload = await gateway.threads.store(uploads.cancel, state, caller, _upload_id(request))
    return await _upload_answer(gateway, upload)


async def _upload_answer(gateway: Gateway, upload: Upload) -> Response:
    return JSONResponse(await gateway.threads.store(_upload_object, upload))


def _upload_object(store: HttpStore, upload: Upload) -> dict[str, object]:
    file = None if upload.file_id is None else store.file(upload.file_id)
    return uploads.to_json(upload, file)


def _upload_id(request: Request) -> str:
    return str(request.path_params["upload_id"])
