"""`ktjob hold`."""

from __future__ import annotations

import click

from ktclient.cli.jobs import control


@click.command()
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object, or a list.")
def hold(job_ids: tuple[str, ...], as_json: bool) -> int:
    """Keep queued jobs from starting until `ktjob release`. Others pass them.

    Of a running split document or batch, the parts that wait are held. A job whose request was sent
    is refused: to end it, use `ktjob cancel`.
    """
    return control.hold(job_ids, as_json)
