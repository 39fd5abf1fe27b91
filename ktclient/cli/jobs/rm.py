"""`ktjob rm`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient.cli import command_settings, exit_codes
from ktclient.cli.jobs import removal, selection
from ktclient.cli.render import output

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ktclient.cli.jobs.selection import Given


@click.command()
@selection.asking
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def rm(yes: bool, as_json: bool, **given: Unpack[Given]) -> int:
    """Delete finished jobs with their documents, answers and logs: either all of them or none.

    With a filter, a group or --all, jobs that have not ended are kept.
    """
    from jobs.model import Status
    from jobs.upkeep import garbage
    from ktclient.records.selector import Scope

    state, wanted = command_settings.state(), selection.parse(given)
    with selection.open_selected(wanted, Scope.ENDED) as (_, found):
        jobs = found.jobs
    for job in jobs:
        if job.status is not Status.FINISHED:
            raise garbage.not_ended(job.id)
        if job.parent is not None:
            raise garbage.is_part(job)
    if not selection.is_confirmed(wanted, jobs, "delete", is_sure=yes):
        output.note("nothing was deleted")
        return exit_codes.FAILED
    ids = [job.id for job in jobs]
    for job_id in ids:
        garbage.delete_job(state, job_id)
        output.note(f"deleted {job_id}")
    selection.note_passed_over(found, Scope.ENDED)
    if as_json:
        removal.print_removed(ids, dry_run=False)
    if ids:
        removal.give_back(state)
    return exit_codes.SUCCEEDED
