"""`ktjob adopt`."""

from __future__ import annotations

import click

from ktclient import wording
from ktclient.cli import command_settings
from ktclient.cli.render import output
from ktclient.errors import BadInput
from ktclient.records import access


@click.command()
@click.option(
    "--although-original",
    is_flag=True,
    help="Also while the original still has queued or running jobs.",
)
def adopt(although_original: bool) -> None:
    """Run the jobs of a copied state directory here.

    A copy of a state directory can be read, but nothing runs in it: the original may still run
    its jobs. Stop the original first. What was running when the copy was made gets its next
    attempt.
    """
    from jobs.upkeep import adoption

    state = command_settings.state()
    if not state.is_stored():
        raise BadInput(f"nothing to adopt: there is no {state.database}")
    adopted = adoption.adopt(state, although_original=although_original)
    if adopted is None:
        output.note(f"{state.database} is not a copy: its jobs run here already")
        return
    output.note(f"{state.database} runs its jobs here now, and no longer as a copy of")
    output.note(f"  {adopted.original}")
    jobs = wording.count(adopted.queued + adopted.running, "job")
    output.note(f"  {jobs} to run; show them with: ktjob status")
    access.ensure_runner(state)
