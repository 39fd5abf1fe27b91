"""`ktjob resume`."""

from __future__ import annotations

import click

from ktclient.cli import command_settings
from ktclient.cli.jobs import control
from ktclient.cli.render import output
from ktclient.errors import BadInput
from ktclient.records import blocks


@click.command()
@click.argument("job_ids", metavar="[ID]...", nargs=-1)
@click.option("--server", metavar="S", help="Resume only this server: a name or a URL.")
@click.option("--all", "everything", is_flag=True, help="End all pauses, those of servers too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def resume(job_ids: tuple[str, ...], server: str | None, everything: bool, as_json: bool) -> int:
    """End a pause: that of the queue, of a server, or of job ID (as `ktjob release`)."""
    from ktclient.submission import queue_control

    if bool(job_ids) + (server is not None) + everything > 1:
        raise BadInput("give either ids, or --server, or --all")
    if job_ids:
        from ktclient.records import selector

        return control.release(selector.parse(job_ids), as_json)
    done = queue_control.resume(command_settings.load(), server, everything=everything)
    for pool in done.pools:
        output.note("the queue is resumed" if pool is None else f"the server {pool} is resumed")
    if not done.pools:
        what = "the queue" if server is None else f"the server {server}"
        output.note("nothing was paused" if everything else f"{what} was not paused")
    for left in done.left:
        output.note(f"note: {blocks.of_pause(left)}")
    if as_json:
        output.print_data(control.pauses_json(done.left))
    return 0
