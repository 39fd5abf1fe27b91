"""`ktjob cancel`."""

from __future__ import annotations

import click

from ktclient.cli import exit_codes
from ktclient.cli.render import job_details, output

_CANCEL_SECONDS = 45.0
"""A worker that does not react is killed after 30 (`jobs/worker/overdue.py`)."""


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def cancel(job_id: str, as_json: bool) -> int:
    """Cancel a job: a queued one immediately, a running one within seconds.

    A worker that does not react is killed after half a minute. The output that has arrived is kept.
    """
    from ktclient.api.job import Job

    job = Job(job_id)
    before = job.status()
    if before.is_finished:
        output.note(f"job {job.id} had already ended: {before.state}")
    else:
        job.cancel()
        job.wait(_CANCEL_SECONDS)
    now = job.status()
    if not before.is_finished:
        output.note(
            job_details.final_line(now) if now.state != "CANCELLED" else f"job {job.id} cancelled"
        )
    if as_json:
        output.print_data(job_details.json_text(now.to_dict()))
    return exit_codes.SUCCEEDED
