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
    elif state.has_database():  # looking creates nothing
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
    while True:
        if state.has_database():
            with access.open_recovered(state) as store:
                if _followed(store, state, job_id):
                    return
        elif job_id is not None:  # removed, and the job with it
            return
        time.sleep(_LOOK_SECONDS)


def _followed(store: Store, state: StateDir, job_id: str | None) -> bool:
    """Print events until the job has ended (returns True) or the store was removed (False).

    The store stays open all the time: no new file can then get its inode number, so that a removal
    is noticed.
    """
    seq = 0
    while not store.is_gone:
        access.recover_and_wake(store, state)
        has_ended = job_id is not None and _has_ended(store, job_id)
        seq = _print_after(store, seq, job_id)
        if has_ended:
            return True
        time.sleep(_LOOK_SECONDS)
    return False


def _has_ended(store: Store, job_id: str) -> bool:
    return not store.exists(job_id) or store.job(job_id).finished_at is not None
