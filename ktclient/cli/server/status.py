"""`ktserver status` and `ktserver logs`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jobs import clock
from ktclient import wording
from ktclient.cli import command_settings, exit_codes
from ktclient.cli.render import output, units
from ktclient.cli.server import selection
from ktclient.config.settings import EMBEDDED, Settings
from ktclient.records import server_load
from server_bundle.embedded import server as embedded
from server_bundle.launch import exit_reason, readiness, registry, server_state

if TYPE_CHECKING:
    from ktclient.records.server_load import Load
    from server_bundle.launch.registry import Observed
    from server_bundle.launch.running_note import RunningServer

_BUSY = "busy"
_SILENT = "not answering"


@click.command()
@click.argument("name", required=False)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per server, one per line."
)
def status(name: str | None, as_json: bool) -> int:
    """Show running and crashed servers, or only server NAME, with the cause of a crash.

    Exit code 6 if no server is running.
    """
    settings = command_settings.load()
    shown, is_running = _servers(settings, name), False
    for one in shown:
        is_running |= one.is_running
        load = _load(one, settings.key_of_started(one.server.url))
        if as_json:
            now = {"state": _state(one, load), "load": asdict(load) if load else None}
            output.print_data(json.dumps({**one.to_dict(), **now}))
        else:
            _show(one, load, settings)
    running = embedded.status(settings.state.server) if name in (None, EMBEDDED) else None
    if running is not None:
        _show_embedded(running, as_json)
    elif not shown:
        output.note("no server started by ktserver is running; start one with: ktserver up")
    return exit_codes.SUCCEEDED if is_running or running is not None else exit_codes.NO_SERVER


def _servers(settings: Settings, name: str | None) -> list[Observed]:
    if name == EMBEDDED:
        return []
    if name is not None:
        found = selection.find(settings, name)
        return [found] if found else []
    known = registry.all_of(settings.state.servers)
    return [one for one in known if one.is_there or one.state == registry.CRASHED]


def _show_embedded(running: RunningServer, as_json: bool) -> None:
    if as_json:
        output.print_data(json.dumps(asdict(running)))
        return
    output.print_data(running.url)
    selection.show_embedded(running)


def _load(one: Observed, key: str | None) -> Load | None:
    """The load of a ready server; None if it is not ready or does not answer."""
    if one.state != server_state.READY or not readiness.is_answering(
        one.server.url, key, one.server.engine
    ):
        return None
    return server_load.current(one.server.url, key) or server_load.Load(None, None, None, False)


def _state(one: Observed, load: Load | None) -> str:
    if one.state == server_state.READY:
        return _SILENT if load is None else _BUSY if load.is_busy else server_state.READY
    return one.state


def _show(one: Observed, load: Load | None, settings: Settings) -> None:
    server = one.server
    about = [_state(one, load)]
    if one.is_running:
        output.print_data(server.url)
    if one.state == server_state.STARTING:
        share = f" {server.done} of {server.total}" if server.total else ""
        about.append(f"{server.stage}{share}")
    if one.state == server_state.WAITING and server.next_start_at:
        about.append(f"starts again at {units.local_time(server.next_start_at)}")
    if one.is_running and server.started_at:
        about.append(f"up {units.duration(clock.seconds_between(server.started_at, clock.now()))}")
    if one.why:
        about.append(one.why)
    if one.state == server_state.WAITING and server.ended is not None:
        cause = exit_reason.cause(Path(server.log), server.ended)
        about.append(f"it died: {cause or server.ended.in_words()}")
    if one.state == registry.CRASHED:
        about.append(exit_reason.cause(Path(server.log), server.ended) or _explain_hint(server.log))
    output.note(f"  {server.name:<8} {'; '.join(about)}")
    if load is not None:
        output.note(f"  load     {_load_text(load, server.pool)}{_own_jobs(settings, server.url)}")
    if one.leftovers:
        pids = ", ".join(str(left.pid) for left in one.leftovers)
        output.note(f"  left     processes {pids}; end them with: ktserver down {server.name}")
    selection.show(server)


def _explain_hint(log: str) -> str:
    return f"cause unknown: ktserver explain {log}"


def _load_text(load: Load, pool: int | None) -> str:
    if load.running is None:
        return "unknown (no --enable-metrics, and /v1/loads does not answer)"
    used = wording.count(load.used_tokens or 0, "token")
    text = f"{load.running} running, {load.queued} queued, {used} in the pool"
    return f"{text} ({load.used_tokens / pool:.0%})" if pool and load.used_tokens else text


def _own_jobs(settings: Settings, url: str) -> str:
    jobs = server_load.running_jobs(settings.state, url)
    return f"; jobs {', '.join(jobs)}" if jobs else ""
