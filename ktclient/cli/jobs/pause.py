"""`ktjob pause`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient import wording
from ktclient.cli import command_settings
from ktclient.cli.jobs import control, selection
from ktclient.cli.render import output
from ktclient.errors import BadInput
from ktclient.records import blocks

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ktclient.cli.jobs.selection import Named
    from ktclient.submission.queue_control import Paused


@click.command()
@selection.beside_server
@click.option("--server", metavar="S", help="Pause only this server: a name or a URL.")
@click.option("--status", "is_query", is_flag=True, help="Change nothing: show what is paused.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def pause(server: str | None, is_query: bool, as_json: bool, **given: Unpack[Named]) -> int:
    """Start no more jobs: none at all, none of a server, or not those named (as `ktjob hold`).

    Requests that are with a server continue: their prefill is never paid twice. Submits are
    accepted, and wait. The pause lasts until `ktjob resume`, also over a reboot.
    """
    from ktclient.submission import queue_control

    is_named = any(given.values())
    if is_named + (server is not None) + is_query > 1:
        raise BadInput("give either jobs (ids or a filter), or --server, or --status")
    if is_named:
        return control.hold(selection.parse({**given, "server": None, "is_all": False}), as_json)
    settings = command_settings.load()
    if is_query:
        found = queue_control.pauses(settings)
        for one in found:
            output.note(str(blocks.of_pause(one)))
        if not found:
            output.note("nothing is paused")
    else:
        done = queue_control.pause(settings, server)
        _explain(done)
        found = queue_control.pauses(settings)
    if as_json:
        output.print_data(control.pauses_json(found))
    return 0


def _explain(done: Paused) -> None:
    block = blocks.of_pause(done.pause)
    waits = f"{wording.count(done.waiting, 'job')} {'waits' if done.waiting == 1 else 'wait'}"
    output.note(f"{block.why}{'' if done.is_new else ' already'}; {waits} for its end")
    if done.sent:
        output.note(f"  continues  {', '.join(done.sent)}: a request that was sent is not stopped")
    if done.unsent:
        output.note(f"  sends nothing before the end of the pause: {', '.join(done.unsent)}")
    output.note(f"  next       {block.command}")
