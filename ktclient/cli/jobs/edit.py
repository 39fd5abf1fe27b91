"""`ktjob edit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient.cli import command_settings
from ktclient.cli.jobs import change_options, stored
from ktclient.cli.render import job_details, output, progress_line

if TYPE_CHECKING:
    from typing_extensions import Unpack


@click.command()
@click.argument("job_id", metavar="ID")
@change_options.options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def edit(job_id: str, as_json: bool, **given: Unpack[change_options.Given]) -> int:
    """Change a queued job: what it asks, its limits, server, label or start time.

    Its id and its place in the queue stay. Either the changes hold for the request that is sent, or
    nothing is changed and the reason is printed: a job that has started is not changed any more.
    """
    from ktclient.api.job import Job
    from ktclient.submission import renewal

    settings = command_settings.load()
    with progress_line.line() as line:
        done = renewal.edit(job_id, change_options.parse(given), settings, line.download)
    output.note(f"job {done.id} is changed")
    change_options.explain(done)
    stored.say_blocked([done.id])
    if as_json:
        output.print_data(job_details.json_text(Job(done.id, settings).status().to_dict()))
    return 0
