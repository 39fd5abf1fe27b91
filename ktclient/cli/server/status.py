"""`ktserver status` and `logs`."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jobs import clock
from ktclient.cli import exit_codes
from ktclient.cli.render import screen
from ktclient.cli.server import selection
from ktclient.config import settings as config
from ktclient.config.settings import EMBEDDED, Settings
from ktclient.records import server_load
from server_bundle.embedded import server as embedded
from server_bundle.launch import exit_reason, readiness, registry, server_state

if TYPE_CHECKING:
    from ktclient.records.server_load import Load
    from server_bundle.launch.registry import Seen
    from server_bundle.launch.server_folder import RunningServer

_BUSY = "busy"
_SILENT = "not answering"
_FOLLOW_SECONDS = 0.3
_TAIL_BYTES_PER_LINE = 400


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, per server.")
def status(name: str | None, as_json: bool) -> int:
    """Show the servers of ours, or one: what runs, and what crashed and why. Exit code 6 when none
    runs."""
    settings = config.load()
    shown, is_running = _kept(settings, name), False
    for one in shown:
        is_running |= one.is_running
        load = _load(one, settings.api_key)
        if as_json:
            told = {"state": _state(one, load), "load": asdict(load) if load else None}
            screen.put(json.dumps({**one.to_dict(), **told}))
        else:
            _show(one, load, settings)
    running = embedded.status(settings.state.server) if name in (None, EMBEDDED) else None
    if running is not None:
        _show_embedded(running, as_json)
    elif not shown:
        screen.say("no server of ours runs; start one with: ktserver up")
    return exit_codes.SUCCEEDED if is_running or running is not None else exit_codes.NO_SERVER


def _kept(settings: Settings, name: str | None) -> list[Seen]:
    if name == EMBEDDED:
        return []
    if name is not None:
        found = selection.find(settings, name)
        return [found] if found else []
    known = registry.all_of(settings.state.servers)
    return [one for one in known if one.is_there or one.state == registry.CRASHED]


def _show_embedded(running: RunningServer, as_json: bool) -> None:
    if as_json:
        screen.put(json.dumps(asdict(running)))
        return
    screen.put(running.url)
    selection.show_embedded(running)


def _load(one: Seen, key: str | None) -> Load | None:
    """None too where it does not answer, which `_state` then says."""
    if one.state != server_state.READY or not readiness.is_answering(one.server.url, key):
        return None
    return server_load.load(one.server.url, key) or server_load.Load(None, None, None, False)


def _state(one: Seen, load: Load | None) -> str:
    if one.state == server_state.READY:
        return _SILENT if load is None else _BUSY if load.is_busy else server_state.READY
    return one.state


def _show(one: Seen, load: Load | None, settings: Settings) -> None:
    server = one.server
    about = [_state(one, load)]
    if one.is_running:
        screen.put(server.url)
    if one.state == server_state.STARTING:
        share = f" {server.done} of {server.total}" if server.total else ""
        about.append(f"{server.stage}{share}")
    if one.state == server_state.WAITING and server.next_start_at:
        about.append(f"starts again at {screen.local_time(server.next_start_at)}")
    if one.is_running and server.started_at:
        about.append(f"up {screen.duration(clock.seconds_between(server.started_at, clock.now()))}")
    if one.why:
        about.append(one.why)
    if one.state == registry.CRASHED:
        about.append(
            exit_reason.cause(Path(server.log), server.ended) or _look_yourself(server.log)
        )
    screen.say(f"  {server.name:<8} {'; '.join(about)}")
    if load is not None:
        screen.say(f"  load     {_told(load, server.pool)}{_ours(settings, server.url)}")
    if one.leftovers:
        pids = ", ".join(str(left.pid) for left in one.leftovers)
        screen.say(f"  left     processes {pids}; end them with: ktserver down {server.name}")
    selection.show(server)


def _look_yourself(log: str) -> str:
    return f"cause unknown: ktserver explain {log}"


def _told(load: Load, pool: int | None) -> str:
    if load.running is None:
        return "unknown (no --enable-metrics, and /v1/loads is silent)"
    text = f"{load.running} running, {load.queued} queued, {load.used_tokens:,} tokens in the pool"
    return f"{text} ({load.used_tokens / pool:.0%})" if pool and load.used_tokens else text


def _ours(settings: Settings, url: str) -> str:
    jobs = server_load.jobs_on(settings.state, url)
    return f"; jobs {', '.join(jobs)}" if jobs else ""


@click.command()
@click.argument("name", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on while the server lives; Ctrl-C ends it.")
@click.option("--lines", type=click.IntRange(0, 100_000), default=100, help="How many; 100.")
def logs(name: str | None, follow: bool, lines: int) -> int:
    """Print the end of a server's log. NAME may be left out where there is only one."""
    settings = config.load()
    seen = selection.find(settings, name)
    log = Path(seen.server.log) if seen else settings.state.server / "server.log"
    if not log.exists():
        screen.say(f"there is no log yet: {log}")
        return exit_codes.NO_SERVER
    offset = _tail(log, lines)
    while follow:
        alive = _is_alive(settings, seen)
        offset = _more(log, offset)
        if not alive:
            screen.say("the server has ended; `ktserver status` says how")
            break
        time.sleep(_FOLLOW_SECONDS)  # a file that grows gives no event
    return exit_codes.SUCCEEDED


def _is_alive(settings: Settings, seen: Seen | None) -> bool:
    if seen is None:
        return embedded.status(settings.state.server) is not None
    now = registry.look(seen.files)
    return now is not None and now.is_running


def _tail(log: Path, lines: int) -> int:
    """Print the last lines; returns where the file ended."""
    with log.open("rb") as file:
        end = file.seek(0, 2)
        size = _TAIL_BYTES_PER_LINE * max(1, lines)
        while True:
            start = file.seek(max(0, end - size))
            data = file.read(end - start)
            if start == 0 or data.count(b"\n") > lines:
                break
            size *= 4
    kept_lines = data.splitlines(keepends=True)[-lines:] if lines else []
    _put(b"".join(kept_lines))
    return end


def _more(log: Path, offset: int) -> int:
    """Print what is new; returns where the file ends now. A shorter file was cut by its keeper."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, 2)
            start = file.seek(offset if offset <= end else 0)
            _put(file.read(end - start))
            return end
    except FileNotFoundError:
        return 0


def _put(data: bytes) -> None:
    text = data.decode(errors="replace")
    if text:
        screen.put(text.removesuffix("\n"))
