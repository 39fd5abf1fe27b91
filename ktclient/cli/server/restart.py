"""`ktserver restart`."""

from __future__ import annotations

import click

from ktclient.cli import command_settings, exit_codes
from ktclient.cli.render import output
from ktclient.cli.server import selection, starting, stop
from ktclient.cli.server.starting import StartOptions
from ktclient.config.settings import Settings


@click.command()
@click.argument("name", required=False)
@click.option(
    "--timeout", type=float, metavar="S", help="Seconds to wait for running requests (default 60)."
)
@click.option("--force", is_flag=True, help="Restart it even if jobs of ktjob are running on it.")
@click.option(
    "--no-warm-up",
    is_flag=True,
    help="Skip the warm-up request; the first user request will be slower.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def restart(
    name: str | None,
    timeout: float | None,
    force: bool,
    no_warm_up: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Restart a server with the options of its last start, also after a crash."""
    from server_bundle.launch import start

    settings = command_settings.load()
    seen = selection.find(settings, name)
    if seen is None:
        return _restart_embedded(settings, force, dry_run, as_json)
    plan, again = start.last_plan(seen.files), seen.server.restart
    code, _ = stop.stop_server(settings, seen, stop.drain_seconds(timeout), force, dry_run)
    if code or dry_run:
        return code
    return starting.start(
        settings, seen.server.name, plan, again, StartOptions(not no_warm_up, as_json)
    )


def _restart_embedded(settings: Settings, force: bool, dry_run: bool, as_json: bool) -> int:
    from server_bundle.embedded import server as embedded

    if embedded.status(settings.state.server) is None:
        output.note("no server started by ktserver is running; start one with: ktserver up")
        return exit_codes.NO_SERVER
    code = stop.stop_embedded(settings, force, dry_run)
    if code or dry_run:
        return code
    return starting.start_embedded(settings, dry_run, as_json)
