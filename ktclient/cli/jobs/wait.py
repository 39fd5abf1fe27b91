"""`ktjob wait`."""

from __future__ import annotations

import click

from ktclient.cli import exit_codes
from ktclient.cli.jobs import waiting
from ktclient.cli.render import job_details, output


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--timeout", type=float, metavar="S", help="Wait at most so many seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def wait(job_id: str, timeout: float | None, as_json: bool) -> int:
    """Wait for a job to end, showing its progress. Ctrl-C only detaches."""
    end = waiting.watch(job_id, timeout)
    output.note(job_details.final_line(end))
    if as_json:
        output.print_data(job_details.json_text(end.to_dict()))
    return exit_codes.code_of_job(end.state, end.cause)
