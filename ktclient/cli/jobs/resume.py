"""`ktjob resume`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient.cli import command_settings
from ktclient.cli.jobs import control, selection
from ktclient.cli.render import output
from ktclient.errors import BadInput
from ktclient.records import blocks

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ktclient.cli.jobs.selection import Named


@click.command()
@selection.beside_server
@click.option("--server", metavar="S", help="Resume only this server: a name or a URL.")
@click.option("--all", "everything", is_flag=True, help="End all pauses, those of servers too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def resume(server: str | None, everything: bool, as_json: bool, **given: Unpack[Named]) -> int:
    """End a pause: that of the queue, of a server, or of the jobs named (as `ktjob release`)."""
    from ktclient.submission import queue_control

    is_named = any(given.values())
    if is_named + (server is not None) + everything > 1:
        raise BadInput("give either jobs (ids or a filter), or --server, or --all")
    if is_named:
        return control.release(selection.parse({**given, "server": None, "is_all": False}), as_json)
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
