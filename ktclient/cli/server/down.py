"""`ktserver down`: stop a server in bounded time, with all its processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient.cli import command_settings
from ktclient.cli.server import selection, stop

if TYPE_CHECKING:
    pass


@click.command()
@click.argument("name", required=False)
@click.option(
    "--timeout", type=float, metavar="S", help="Seconds to wait for running requests (default 60)."
)
@click.option("--force", is_flag=True, help="Stop it even if jobs of ktjob are running on it.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
def down(name: str | None, timeout: float | None, force: bool, dry_run: bool) -> int:
    """Stop a server: SIGTERM, a bounded wait for its requests, then SIGKILL for all its processes.

    NAME can be left out if there is only one server.
    """
    settings = command_settings.load()
    seen = selection.find(settings, name)
    if seen is None:
        return stop.stop_embedded(settings, force, dry_run)
    return stop.stop_server(settings, seen, stop.drain_seconds(timeout), force, dry_run)[0]
