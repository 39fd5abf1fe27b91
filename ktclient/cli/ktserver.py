"""The `ktserver` command."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

import ktclient
from ktclient import config
from ktclient.cli import (
    exits,
    live,
    screen,
    server_doctor,
    server_explain,
    server_plan,
    server_profiles,
)

if TYPE_CHECKING:
    from server_bundle.record import RunningServer


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=exits.TABLE)
@click.version_option(ktclient.__version__, prog_name="ktserver")
def ktserver() -> None:
    """Start and stop the inference server on this machine.

    Today that is the embedded one: a small real model for machines without a GPU.
    """


@ktserver.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def up(as_json: bool) -> None:
    """Start the embedded server, detached, and print its URL.

    The first time this downloads its model (93 MB). It stops by itself after half an hour
    without a request.
    """
    from server_bundle import embedded

    settings = config.load()
    with live.line() as line:
        running = embedded.ensure_up(settings.state.server, settings.cache, line.download)
    _show(running, as_json)


@ktserver.command()
def down() -> None:
    """Stop the embedded server."""
    from server_bundle import embedded

    stopped = embedded.down(config.load().state.server)
    screen.say(f"stopped {stopped.url}" if stopped else "no embedded server runs")


@ktserver.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(as_json: bool) -> int:
    """Show the embedded server. Exit code 6 when none runs."""
    from server_bundle import embedded

    running = embedded.status(config.load().state.server)
    if running is None:
        screen.say("no embedded server runs; start it with: ktserver up")
        return exits.NO_SERVER
    _show(running, as_json)
    return exits.SUCCEEDED


def _show(running: RunningServer, as_json: bool) -> None:
    if as_json:
        screen.put(json.dumps(asdict(running)))
        return
    screen.put(running.url)
    screen.say(f"  model    {running.model}, window {running.window:,} tokens")
    screen.say(f"  process  {running.process.pid}, since {screen.local_time(running.started_at)}")
    screen.say(f"  idle     stops by itself after {screen.duration(running.idle_seconds)} unused")
    screen.say(f"  log      {running.log}")


ktserver.add_command(server_doctor.doctor)
ktserver.add_command(server_explain.explain)
ktserver.add_command(server_profiles.profiles)
ktserver.add_command(server_plan.plan)


def main() -> None:
    """The console script."""
    exits.run(ktserver, "ktserver")
