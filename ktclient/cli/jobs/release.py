"""`ktjob release`."""

from __future__ import annotations

import click

from ktclient.cli.jobs import control


@click.command()
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object, or a list.")
def release(job_ids: tuple[str, ...], as_json: bool) -> int:
    """Let held jobs start, each at its old place in the queue."""
    return control.release(job_ids, as_json)
