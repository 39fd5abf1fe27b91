"""`ktserver up` and `ktserver restart`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ktclient.cli import command_settings, exit_codes
from ktclient.cli.server import plan_options as server_plan
from ktclient.cli.server import preflight, selection, starting
from ktclient.cli.server.starting import StartOptions
from server_bundle.launch import readiness, server_state

if TYPE_CHECKING:
    pass


@click.command()
@click.option("--profile", metavar="P", help="Profile to start (default: embedded).")
@server_plan.plan_options
@click.option(
    "--plan",
    "plan_file",
    metavar="FILE",
    help="Start from a plan file written by ktserver plan --json.",
)
@click.option(
    "--name", metavar="NAME", help="Name of the server (default: the name of its profile)."
)
@click.option(
    "--restart",
    type=click.Choice([server_state.NO, server_state.ON_FAILURE]),
    default=server_state.NO,
    help="Restart policy after a crash, with exponential backoff (default: no).",
)
@click.option(
    "--gguf",
    metavar="FILE",
    help="Serve this GGUF file with the installed llama.cpp, with the file's own sampling.",
)
@click.option(
    "--gpu-layers",
    type=int,
    metavar="N",
    help="With --gguf: layers on the GPU (default: as many as fit).",
)
@click.option(
    "--parallel",
    type=int,
    metavar="N",
    help="With --gguf: simultaneous requests, each with a whole context (default 1).",
)
@click.option("--no-check", is_flag=True, help="Skip the preflight checks of `ktserver doctor`.")
@click.option(
    "--no-warm-up",
    is_flag=True,
    help="Skip the warm-up request, also after restarts; the first user request will be slower.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
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
    """Start a server in the background, wait until it is ready, and print its URL.

    Without a profile this is the embedded server: the first start downloads a model of 93 MB, which
    needs 300 MB of free space. It stops after half an hour without a request. Every other server
    runs until `ktserver down`. Ctrl-C only detaches; the start continues. An ERROR of `ktserver
    doctor` prevents the start, also of a plan file, which may be from another machine or day.

    With --gguf FILE it is any model in the GGUF format, on port 40001 unless --port says otherwise,
    where ktjob finds it. --context is the window of each request (default: the file's own).
    """
    settings = command_settings.load()
    plan, notes = starting.plan_from(settings, options, dry_run)
    if plan is None:
        return starting.start_embedded(settings, dry_run, as_json)
    name = selection.checked(name or plan.profile)
    if dry_run:
        starting.print_notes(notes)
        folder = settings.state.servers / name
        selection.show_dry(plan, name, folder, restart, not no_warm_up)
        return exit_codes.SUCCEEDED
    is_checked = not no_check and plan.engine != readiness.LLAMA_CPP  # the checks are for sglang
    if is_checked and not starting.is_running(settings, name):
        preflight.require(plan)
    starting.print_notes(notes)
    return starting.start(settings, name, plan, restart, StartOptions(not no_warm_up, as_json))
