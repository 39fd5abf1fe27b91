"""The bytes of one file, from a request's body straight to a draft on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from jobs import draft
from jobs.store.state_dir import StateDir
from ktclient.gateway.files import multipart, storage
from ktclient.gateway.files.multipart import Form
from ktclient.gateway.wire.errors import ApiError

_AT_ONCE_BYTES = 1_000_000
"""So much is taken from the network before it is written: a chunk has 64 KB or less."""


@dataclass(frozen=True)
class Received:
    """A whole form. `written` is not synced and has no name yet: publish or drop it."""

    form: Form
    written: draft.Draft


def require_size(headers: Mapping[str, str], most_bytes: int, param: str) -> int:
    """The size of the body that was announced; 0 if none was. Raises `ApiError` 413 if its file
    cannot have at most `most_bytes`."""
    announced = headers.get("content-length", "")
    size = int(announced) if announced.isascii() and announced.isdigit() else 0
    if size > most_bytes + multipart.OVERHEAD_BYTES:
        raise multipart.too_large(most_bytes, param)
    return size


async def receive(
    chunks: AsyncIterator[bytes],
    headers: Mapping[str, str],
    state: StateDir,
    own_id: str,
    file: tuple[str, int],
) -> Received:
    """Read a form with one file. `file`: its field, and how many bytes it may have. Raises
    `ApiError`, and leaves nothing on disk then, nor when the client goes away."""
    file_field, most_bytes = file
    written = await asyncio.to_thread(storage.new_draft, state, own_id)
    try:
        kind = headers.get("content-type", "")
        form = Form(kind, file_field, most_bytes, written.file.write)
        await _read(chunks, form, written, most_bytes + multipart.OVERHEAD_BYTES)
        return Received(form, written)
    except BaseException:
        await asyncio.to_thread(written.drop)
        raise


async def _read(
    chunks: AsyncIterator[bytes], form: Form, written: draft.Draft, most_bytes: int
) -> None:
    def write(some: bytes) -> None:
        with storage.explained(written.path):
            form.write(some)

    held, size = bytearray(), 0
    async for chunk in chunks:
        held += chunk
        size += len(chunk)
        if size > most_bytes:
            raise multipart.too_large(most_bytes - multipart.OVERHEAD_BYTES, "file")
        if len(held) >= _AT_ONCE_BYTES:
            await asyncio.to_thread(write, bytes(held))
            held.clear()
    await asyncio.to_thread(write, bytes(held))
    form.close()


def require_field(form: Form, name: str) -> str:
    """A field of the form. Raises `ApiError` 400 if it is missing."""
    found = form.fields.get(name)
    if not found:
        raise ApiError(400, f"the form has no field {name}", param=name, code="missing_field")
    return found
