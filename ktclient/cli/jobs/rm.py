"""`ktjob rm`."""

from __future__ import annotations

import click

from ktclient.cli import command_settings
from ktclient.cli.jobs import removal
from ktclient.cli.render import output
from ktclient.records import access


@click.command()
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def rm(job_ids: tuple[str, ...], as_json: bool) -> None:
    """Delete finished jobs with their documents, answers and logs: either all of them or none."""
    from jobs.model import Status
    from jobs.upkeep import garbage

    state = command_settings.state()
    with access.open_recovered(state, job_ids[0]) as store:
        found = [store.find(job_id) for job_id in job_ids]
    for job in found:
        if job.status is not Status.FINISHED:
            raise garbage.not_ended(job.id)
        if job.parent is not None:
            raise garbage.is_part(job)
    ids = list(dict.fromkeys(job.id for job in found))
    for job_id in ids:
        garbage.delete_job(state, job_id)
        output.note(f"deleted {job_id}")
    if as_json:
        removal.print_removed(ids, dry_run=False)
    removal.give_back(state)
