"""`ktjob backup`."""

from __future__ import annotations

from pathlib import Path

import click

from ktclient.cli import command_settings
from ktclient.cli.render import output
from ktclient.errors import BadInput


@click.command()
@click.argument("file")
def backup(file: str) -> None:
    """Copy the job database to FILE, also while it is in use."""
    from jobs.upkeep import garbage

    if file == "-":
        raise BadInput("cannot write a database to standard output; name a file, or ./-")
    state = command_settings.state()
    if not state.is_stored():
        raise BadInput(f"nothing to copy: {state.database} is created with the first job")
    with garbage.Upkeep.open_to_read(state) as store:
        store.backup(Path(file).absolute())
    output.note(f"copied {state.database} to {file}")
