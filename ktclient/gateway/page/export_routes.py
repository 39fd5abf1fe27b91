"""Downloads of ended jobs: one, several, or those of a group, as `ktjob export` writes them. The
file is made while it is sent, one job at a time in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from jobs.errors import KtjobError
from jobs.model import Job, Status
from jobs.store.http.store import HttpStore
from ktclient.exports import file, record
from ktclient.exports.record import Contents, Exported
from ktclient.gateway.context import Caller, Gateway
from ktclient.gateway.page import groups
from ktclient.gateway.page.change_routes import named
from ktclient.gateway.page.own_requests import attachment_headers
from ktclient.gateway.wire.errors import ApiError
from ktclient.gateway.wire.event_stream import Cut, Stream
from ktclient.gateway.wire.requests import caller_of, gateway_of

KINDS = {
    "md": "text/markdown",
    "html": "text/html",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "csv": "text/csv",
}
_CHUNK = 64_000
"""Characters that are made in one step."""


def routes() -> list[BaseRoute]:
    return [Route("/page/export", _export)]


@dataclass(frozen=True)
class _Asked:
    ids: tuple[str, ...]
    group: str
    form: str
    contents: Contents


async def _export(request: Request) -> Response:
    """Parameters: `ids`, separated by commas, or `group`; `format`; `documents` and `thoughts`, to
    have these too. Of a group, those that have ended."""
    query = request.query_params
    form = query.get("format", "md")
    if form not in KINDS:
        raise ApiError(400, f"format must be one of {', '.join(KINDS)}", param="format")
    asked = _Asked(
        ids=tuple(filter(None, query.get("ids", "").split(","))),
        group=query.get("group", ""),
        form=form,
        contents=Contents(documents="documents" in query, thoughts="thoughts" in query),
    )
    gateway = gateway_of(request)
    jobs = await gateway.threads.store(_meant, caller_of(request), asked)
    name = asked.group or (jobs[0].id if len(jobs) == 1 else f"{len(jobs)}-jobs")
    headers = attachment_headers(f"ktjob-{name}.{form}", KINDS[form])
    return Stream(_parts(gateway, _Work(jobs, asked)), headers)


def _meant(store: HttpStore, caller: Caller, asked: _Asked) -> list[Job]:
    if asked.group:
        found = groups.jobs_of(store, caller, asked.group)
        jobs = [job for job in found if job.status is Status.FINISHED]
    else:
        jobs = named(store, caller, list(asked.ids))
    if not jobs or any(job.status is not Status.FINISHED for job in jobs):
        words = "only jobs that have ended can be exported" if jobs else "no job has ended yet"
        raise ApiError(409, words, code="wrong_state")
    return jobs


@dataclass
class _Work:
    """An export that is being made, by whichever thread is free: each has a store of its own."""

    jobs: Sequence[Job]
    asked: _Asked
    _store: HttpStore | None = None
    _pieces: Iterator[str] | None = field(default=None, repr=False)

    def next(self, store: HttpStore) -> bytes:
        """The next part of the file; empty at its end. Raises as `record.records`."""
        self._store = store
        if self._pieces is None:
            form, contents = self.asked.form, self.asked.contents
            listed = file.contents_list(store, self.jobs) if form == "html" else []
            self._pieces = file.pieces_of(self._records(), len(self.jobs), form, contents, listed)
        parts, size = [], 0
        for piece in self._pieces:
            parts.append(piece)
            size += len(piece)
            if size >= _CHUNK:
                break
        return "".join(parts).encode("utf-8", "replace")

    def _records(self) -> Iterator[Exported]:
        for job in self.jobs:
            assert self._store is not None
            yield record.of_job(self._store, job, self.asked.contents)


async def _parts(gateway: Gateway, work: _Work) -> AsyncIterator[bytes]:
    """The file; cut where a job was deleted meanwhile, so that it is not taken for whole."""
    try:
        # Not `patient`: what has failed once is at its end, and would look like a whole file.
        while part := await gateway.threads.store(work.next):
            yield part
    except KtjobError as error:
        raise Cut(str(error)) from error
