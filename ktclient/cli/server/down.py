"""`ktserver down`: an end in bounded time, and nothing left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient.cli.server import selection, stop
from ktclient.config import settings as config

if TYPE_CHECKING:
    pass


@click.command()
@click.argument("name", required=False)
@click.option("--timeout", type=float, metavar="S", help="Seconds to let requests end; 60.")
@click.option("--force", is_flag=True, help="Although jobs of ours run on it.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def down(name: str | None, timeout: float | None, force: bool, dry_run: bool) -> int:
    """Stop a server: SIGTERM, a bounded wait for its requests, then SIGKILL for all its processes.

    NAME may be left out where there is only one.
    """
    settings = config.load()
    seen = selection.find(settings, name)
    if seen is None:
        return stop.stop_embedded(settings, force, dry_run)
    return stop.stop_server(settings, seen, stop.drain_seconds(timeout), force, dry_run)[0]
