"""`ktjob backup`."""

from __future__ import annotations

from pathlib import Path

import click

from ktclient.cli.render import output
from ktclient.config import settings as config
from ktclient.errors import BadInput


@click.command()
@click.argument("file")
def backup(file: str) -> None:
    """Copy the job database to FILE, while it is in use."""
    from jobs.upkeep import garbage

    if file == "-":
        raise BadInput("a database is not written to standard output; name a file, or ./-")
    state = config.load().state
    if not state.has_database():
        raise BadInput(f"there is nothing to copy: {state.database} is made by the first job")
    with garbage.Upkeep.open(state) as store:
        store.backup(Path(file).absolute())
    output.note(f"copied {state.database} to {file}")
