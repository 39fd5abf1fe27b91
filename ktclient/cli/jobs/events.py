"""`ktjob events`: job events as JSON lines, for programs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from jobs.errors import KtjobError
from ktclient.cli import command_settings
from ktclient.cli.jobs import lookup
from ktclient.cli.render import job_details, output
from ktclient.records import access
from ktclient.records.output_schema import SCHEMA

if TYPE_CHECKING:
    from jobs.model import Event
    from jobs.store.state_dir import StateDir
    from jobs.store.store import Store

_BATCH = 500
"""The maximum number of events in memory."""
_LOOK_SECONDS = 0.3


@click.command()
@click.argument("job_id", metavar="[ID]", required=False)
@click.option("-f", "--follow", is_flag=True, help="Keep printing until Ctrl-C or job ID ends.")
def events(job_id: str | None, follow: bool) -> None:
    """Print the events of all jobs, or of one job, as JSON lines, oldest first."""
    state = command_settings.state()
    if job_id is not None:
        with lookup.open_job(job_id) as (_, job):
            job_id = job.id
    if follow:
        _follow(state, job_id)
    elif state.is_stored():  # looking creates nothing
        with access.open_recovered(state) as store:
            _Printed(state, job_id).rest(store)


def _line(event: Event) -> str:
    record = {
        "schema": SCHEMA,
        "seq": event.seq,
        "job_id": event.job_id,
        **job_details.event_record(event),
    }
    return json.dumps(record, ensure_ascii=False)


def _follow(state: StateDir, job_id: str | None) -> None:
    """Print events as they happen. Waits for a job store while there is none."""
    printed = _Printed(state, job_id)
    patience, seen_at = access.Patience(), time.monotonic()
    while True:
        try:
            if state.has_database():
                if printed.follow(patience):
                    return
                seen_at = time.monotonic()
        except KtjobError as error:
            patience.failed(error)
        if job_id is not None and time.monotonic() - seen_at > access.AWAY_SECONDS:
            return  # removed, and the job with it
        time.sleep(_LOOK_SECONDS)


class _Printed:
    """The events printed so far, of one job or of all."""

    def __init__(self, state: StateDir, job_id: str | None) -> None:
        self._state, self._job_id = state, job_id
        self._queue, self._seq = "", 0

    def rest(self, store: Store) -> None:
        """Print all events after the last one printed."""
        while batch := store.events_after(self._seq, _BATCH, self._job_id):
            output.print_data("\n".join(map(_line, batch)))
            self._seq = batch[-1].seq

    def follow(self, patience: access.Patience) -> bool:
        """Print events until the job has ended (returns True), or the store was removed or moved
        (False). The store stays open all the time: no new file can then get its inode number, so
        that a removal is noticed."""
        with access.open_recovered(self._state) as store:
            patience.succeeded()
            place = store.recorded_place()
            if place is not None and place.store != self._queue:
                self._queue, self._seq = place.store, 0  # another queue counts its own events
            while not store.is_gone:
                access.recover_and_wake(store, self._state)
                has_ended = self._job_id is not None and _has_ended(store, self._job_id)
                self.rest(store)
                if has_ended:
                    return True
                time.sleep(_LOOK_SECONDS)
        return False


def _has_ended(store: Store, job_id: str) -> bool:
    return not store.exists(job_id) or store.job(job_id).finished_at is not None
