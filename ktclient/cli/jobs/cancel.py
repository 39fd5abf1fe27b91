"""`ktjob cancel`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ktclient.cli import exit_codes
from ktclient.cli.jobs import selection
from ktclient.cli.render import job_details, output

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ktclient.cli.jobs.selection import Given
    from ktclient.records.snapshot import Snapshot

_CANCEL_SECONDS = 45.0
"""A worker that does not react is killed after 30 (`jobs/worker/overdue.py`)."""
_MOST_LINES = 5


@click.command()
@selection.asking
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or a list.")
def cancel(yes: bool, as_json: bool, **given: Unpack[Given]) -> int:
    """Cancel jobs: queued ones immediately, running ones within seconds.

    Several are cancelled in one step. A worker that does not react is killed after half a minute.
    The output that has arrived is kept.
    """
    from ktclient.api.selection import Selection
    from ktclient.records.selector import Scope

    wanted = selection.parse(given)
    with selection.open_selected(wanted, Scope.OPEN) as (_, found):
        ended = {job.id: job.state for job in found.jobs if job.outcome is not None}
    if not selection.is_confirmed(wanted, found.jobs, "cancel", is_sure=yes):
        output.note("nothing was cancelled")
        return exit_codes.FAILED
    jobs = Selection.of_ids(job.id for job in found.jobs)
    jobs.cancel()
    now = jobs.wait(_CANCEL_SECONDS).statuses()
    for job_id, state in ended.items():
        output.note(f"job {job_id} had already ended: {state}")
    _say([one for one in now if one.id not in ended])
    selection.note_passed_over(found, Scope.OPEN)
    if as_json:
        records = [one.to_dict() for one in now]
        output.print_data(job_details.json_text(records[0] if wanted.is_one else records))
    return exit_codes.SUCCEEDED


def _say(now: Sequence[Snapshot]) -> None:
    """How the cancelled jobs ended: those that were faster one by one."""
    cancelled = [one.id for one in now if one.state == "CANCELLED"]
    for one in now:
        if one.state != "CANCELLED":
            output.note(job_details.final_line(one))
    if len(cancelled) > _MOST_LINES or not now:
        output.note(f"{len(cancelled):,} jobs cancelled")
        return
    for job_id in cancelled:
        output.note(f"job {job_id} cancelled")
