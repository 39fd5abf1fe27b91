"""`ktjob rerun`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient.cli import command_settings
from ktclient.cli.jobs import change_options, stored, waiting
from ktclient.cli.render import job_details, output, progress_line

if TYPE_CHECKING:
    from typing_extensions import Unpack


@click.command()
@click.argument("job_id", metavar="ID")
@change_options.options
@click.option("--wait", is_flag=True, help="Wait and print the answer. Ctrl-C only detaches.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def rerun(job_id: str, wait: bool, as_json: bool, **given: Unpack[change_options.Given]) -> int:
    """Run job ID again as a new job, whatever became of it, and print the new id.

    All that no option changes is as in job ID: document, question, server, limits, label, priority,
    notifications. Each call makes another job; `ktjob retry` repeats a failed one once, and reuses
    its finished parts.
    """
    from ktclient.api.job import Job
    from ktclient.submission import renewal

    settings = command_settings.load()
    old = Job(job_id, settings).status()
    with progress_line.line() as line:
        done = renewal.rerun(old.id, change_options.parse(given), settings, line.download)
    if not (wait or as_json):
        stored.print_naming(done.id, [done.id])
    output.note(f"job {done.id}: job {old.id} again")
    if not old.is_finished:
        output.note(f"  note       job {old.id} has not ended: both are computed")
    change_options.explain(done)
    stored.say_blocked([done.id])
    if wait:
        return waiting.wait_and_print([done.id], as_json=as_json)
    if as_json:
        shown = job_details.json_text(Job(done.id, settings).status().to_dict())
        stored.print_naming(shown, [done.id])
    output.note(f"  next       ktjob wait {done.id}, then ktjob result {done.id}")
    return 0
