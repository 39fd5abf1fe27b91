"""`ktserver up` and `restart`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ktclient.cli import exit_codes
from ktclient.cli.server import plan_options as server_plan
from ktclient.cli.server import preflight, selection, starting
from ktclient.cli.server.starting import StartOptions
from ktclient.config import settings as config
from server_bundle.launch import server_state

if TYPE_CHECKING:
    pass


@click.command()
@click.option("--profile", metavar="P", help="What to start; `embedded` when none is named.")
@server_plan.plan_options
@click.option("--plan", "plan_file", metavar="FILE", help="Start what `ktserver plan --json` told.")
@click.option("--name", metavar="NAME", help="What to call it; the profile's name when not given.")
@click.option(
    "--restart",
    type=click.Choice([server_state.NO, server_state.ON_FAILURE]),
    default=server_state.NO,
    help="Whether to start it again, ever more slowly, when it dies after it was ready; no.",
)
@click.option("--no-check", is_flag=True, help="Start it whatever `ktserver doctor` says.")
@click.option("--no-warm-up", is_flag=True, help="Leave the first forward to the first user.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def up(
    name: str | None,
    restart: str,
    no_check: bool,
    no_warm_up: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Start a server, detached, wait until it is ready, and print its URL.

    Without a profile that is the embedded one: the first time this downloads its model (93 MB), and
    it stops by itself after half an hour without a request. Every other server stays until
    `ktserver down`. Ctrl-C ends the waiting, not the start. What `ktserver doctor` calls an ERROR
    keeps it from being started, but not with --plan: that is taken as it is.
    """
    settings = config.load()
    is_checked = not no_check and options["plan_file"] is None
    plan, notes = starting.plan_from(settings, options, dry_run)
    if plan is None:
        return starting.start_embedded(settings, dry_run, as_json)
    name = selection.checked(name or plan.profile)
    if dry_run:
        starting.print_notes(notes)
        folder = settings.state.servers / name
        selection.show_dry(plan, name, folder, restart, not no_warm_up)
        return exit_codes.SUCCEEDED
    if is_checked and not starting.is_running(settings, name):
        preflight.require(plan)
    starting.print_notes(notes)
    return starting.start(settings, name, plan, restart, StartOptions(not no_warm_up, as_json))
