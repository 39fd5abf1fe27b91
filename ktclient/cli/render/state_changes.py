"""`ktjob status --watch` where nothing can be drawn again: a line for each change of a state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs import clock
from jobs.errors import NoSuchJob
from ktclient.cli.render import output, terminal_text, units
from ktclient.records import overview

if TYPE_CHECKING:
    from jobs.model import Event, Job
    from jobs.store.store import Store

_BATCH = 500
_FIRST = 20


class Log:
    """Says what became of all jobs, or of one, since the last time."""

    def __init__(self, store: Store, job_id: str | None) -> None:
        self._store, self._job_id = store, job_id
        self._seq = store.last_event()

    def begin(self) -> None:
        """What has not ended yet."""
        now = overview.read(self._store, _FIRST)
        for job in now.jobs:
            if not job.is_finished and self._job_id in (None, job.id):
                why = now.waits.get(job.id) or job.phase or ""
                output.print_data(_line(clock.now(), job.id, job.state, job.title, why))

    def go_on(self) -> None:
        """What has changed."""
        while batch := self._store.events_after(self._seq, _BATCH, self._job_id):
            for event in batch:
                if (state := state_after(event)) is not None:
                    self._tell(event, state)
            self._seq = batch[-1].seq

    def _tell(self, event: Event, state: str) -> None:
        title = ""
        try:
            job: Job = self._store.job(event.job_id)
        except NoSuchJob:  # forgotten meanwhile
            pass
        else:
            if job.parent is not None and self._job_id is None:
                return  # a part of another is told by that one
            title = job.title
        why = str(event.data.get("cause") or "")
        output.print_data(_line(event.at, event.job_id, state, title, why))


def state_after(event: Event) -> str | None:
    """The state that a job came into with this event; None for any other event."""
    if event.kind == "finished":
        return str(event.data["outcome"])
    return {"submitted": "QUEUED", "claimed": "RUNNING", "queued again": "QUEUED"}.get(event.kind)


def _line(at: str, job_id: str, state: str, title: str, why: str) -> str:
    cells = (units.local_time(at), job_id, f"{state:<9}", terminal_text.one_line(title), why)
    return "  ".join(cell for cell in cells if cell).rstrip()
