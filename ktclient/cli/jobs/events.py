"""`ktjob events`: job events as JSON lines, for programs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

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
    elif access.is_stored(state):  # looking creates nothing
        with access.open_recovered(state) as store:
            _print_after(store, 0, job_id)


def _print_after(store: Store, seq: int, job_id: str | None) -> int:
    """Print all events after number `seq`. Returns the number of the last one printed."""
    while batch := store.events_after(seq, _BATCH, job_id):
        output.print_data("\n".join(map(_line, batch)))
        seq = batch[-1].seq
    return seq


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
    seen_at, seq, queue = time.monotonic(), 0, ""
    while True:
        if state.has_database():
            with access.open_recovered(state) as store:
                place = store.recorded_place()
                if place is not None and place.store != queue:
                    seq, queue = 0, place.store  # another queue counts its own events
                seq, is_over = _followed(store, state, job_id, seq)
            if is_over:
                return
            seen_at = time.monotonic()
        elif job_id is not None and time.monotonic() - seen_at > access.AWAY_SECONDS:
            return  # removed, and the job with it
        time.sleep(_LOOK_SECONDS)


def _followed(store: Store, state: StateDir, job_id: str | None, seq: int) -> tuple[int, bool]:
    """Print the events after number `seq` until the job has ended, or the store was removed or
    moved. Returns the number of the last event, and whether the job has ended.

    The store stays open all the time: no new file can then get its inode number, so that a removal
    is noticed.
    """
    while not store.is_gone:
        access.recover_and_wake(store, state)
        has_ended = job_id is not None and _has_ended(store, job_id)
        seq = _print_after(store, seq, job_id)
        if has_ended:
            return seq, True
        time.sleep(_LOOK_SECONDS)
    return seq, False


def _has_ended(store: Store, job_id: str) -> bool:
    return not store.exists(job_id) or store.job(job_id).finished_at is not None
