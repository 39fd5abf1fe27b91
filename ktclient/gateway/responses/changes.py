"""Cancel and delete responses. In a thread."""

from __future__ import annotations

from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway import delivery
from ktclient.gateway.chat import cancellation
from ktclient.gateway.responses.response import came_here
from ktclient.gateway.visibility import Visible
from ktclient.gateway.wire.errors import ApiError


def cancel(state: StateDir, found: Visible) -> None:
    """Request that a job ends; no effect if it has. Raises `ApiError` for one that is not in the
    background: its client's connection is its own way to say so."""
    request = found.request
    is_chat = request is not None and request.surface == "chat"
    is_foreground = is_chat or (
        request is not None and came_here(request) and not request.fields.get("background")
    )
    if is_foreground:
        words = (
            "only a response with background: true can be cancelled. To end a foreground one with "
            f"its connection, send the header {cancellation.HEADER}: 1 with the request"
        )
        raise ApiError(400, words, code="not_in_background")
    cancellation.cancel(state, found.job.id)


def delete(state: StateDir, job_id: str) -> None:
    """Show a job no longer, and delete it as soon as it has ended."""
    with HttpStore.open(state) as store:
        store.note_deleted(job_id)
    cancellation.cancel(state, job_id)
    delivery.sweep(state)
