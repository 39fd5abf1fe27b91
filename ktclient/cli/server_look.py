"""`ktserver status` and `ktserver logs`."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jobs import clock
from ktclient import config, occupancy
from ktclient.cli import exits, screen, server_named
from ktclient.config import EMBEDDED, Settings
from server_bundle import embedded, kept, last_words, readiness, servers_of_ours

if TYPE_CHECKING:
    from ktclient.occupancy import Load
    from server_bundle.record import RunningServer
    from server_bundle.servers_of_ours import Seen

_BUSY = "busy"
_SILENT = "not answering"
_FOLLOW_SECONDS = 0.3
_TAIL_BYTES_PER_LINE = 400


@click.command()
@click.argument("name", required=False)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per server, one per line."
)
def status(name: str | None, as_json: bool) -> int:
    """Show running and crashed servers, or only server NAME, with the cause of a crash.

    Exit code 6 if no server is running.
    """
    settings = config.load()
    shown, is_running = _kept(settings, name), False
    for one in shown:
        is_running |= one.is_running
        load = _load(one, settings.api_key)
        if as_json:
            now = {"state": _state(one, load), "load": asdict(load) if load else None}
            screen.put(json.dumps({**one.to_dict(), **now}))
        else:
            _show(one, load, settings)
    running = embedded.status(settings.state.server) if name in (None, EMBEDDED) else None
    if running is not None:
        _show_embedded(running, as_json)
    elif not shown:
        screen.say("no server started by ktserver is running; start one with: ktserver up")
    return exits.SUCCEEDED if is_running or running is not None else exits.NO_SERVER


def _kept(settings: Settings, name: str | None) -> list[Seen]:
    if name == EMBEDDED:
        return []
    if name is not None:
        found = server_named.find(settings, name)
        return [found] if found else []
    known = servers_of_ours.all_of(settings.state.servers)
    return [one for one in known if one.is_there or one.state == servers_of_ours.CRASHED]


def _show_embedded(running: RunningServer, as_json: bool) -> None:
    if as_json:
        screen.put(json.dumps(asdict(running)))
        return
    screen.put(running.url)
    server_named.show_embedded(running)


def _load(one: Seen, key: str | None) -> Load | None:
    """The load of a ready server; None if it is not ready or does not answer."""
    if one.state != kept.READY or not readiness.is_answering(one.server.url, key):
        return None
    return occupancy.load(one.server.url, key) or occupancy.Load(None, None, None, False)


def _state(one: Seen, load: Load | None) -> str:
    if one.state == kept.READY:
        return _SILENT if load is None else _BUSY if load.is_busy else kept.READY
    return one.state


def _show(one: Seen, load: Load | None, settings: Settings) -> None:
    server = one.server
    about = [_state(one, load)]
    if one.is_running:
        screen.put(server.url)
    if one.state == kept.STARTING:
        share = f" {server.done} of {server.total}" if server.total else ""
        about.append(f"{server.stage}{share}")
    if one.state == kept.WAITING and server.next_start_at:
        about.append(f"starts again at {screen.local_time(server.next_start_at)}")
    if one.is_running and server.started_at:
        about.append(f"up {screen.duration(clock.seconds_between(server.started_at, clock.now()))}")
    if one.why:
        about.append(one.why)
    if one.state == servers_of_ours.CRASHED:
        about.append(last_words.cause(Path(server.log), server.ended) or _look_yourself(server.log))
    screen.say(f"  {server.name:<8} {'; '.join(about)}")
    if load is not None:
        screen.say(f"  load     {_told(load, server.pool)}{_ours(settings, server.url)}")
    if one.leftovers:
        pids = ", ".join(str(left.pid) for left in one.leftovers)
        screen.say(f"  left     processes {pids}; end them with: ktserver down {server.name}")
    server_named.show(server)


def _look_yourself(log: str) -> str:
    return f"cause unknown: ktserver explain {log}"


def _told(load: Load, pool: int | None) -> str:
    if load.running is None:
        return "unknown (no --enable-metrics, and /v1/loads does not answer)"
    text = f"{load.running} running, {load.queued} queued, {load.used_tokens:,} tokens in the pool"
    return f"{text} ({load.used_tokens / pool:.0%})" if pool and load.used_tokens else text


def _ours(settings: Settings, url: str) -> str:
    jobs = occupancy.jobs_on(settings.state, url)
    return f"; jobs {', '.join(jobs)}" if jobs else ""


@click.command()
@click.argument("name", required=False)
@click.option("-f", "--follow", is_flag=True, help="Keep printing until Ctrl-C or the server ends.")
@click.option(
    "--lines",
    type=click.IntRange(0, 100_000),
    default=100,
    help="Number of lines to print first (default 100).",
)
def logs(name: str | None, follow: bool, lines: int) -> int:
    """Print the end of a server's log. NAME can be left out if there is only one server."""
    settings = config.load()
    seen = server_named.find(settings, name)
    log = Path(seen.server.log) if seen else settings.state.server / "server.log"
    if not log.exists():
        screen.say(f"there is no log yet: {log}")
        return exits.NO_SERVER
    offset = _tail(log, lines)
    while follow:
        alive = _is_alive(settings, seen)
        offset = _more(log, offset)
        if not alive:
            screen.say("the server has ended; see: ktserver status")
            break
        time.sleep(_FOLLOW_SECONDS)  # a file that grows gives no event
    return exits.SUCCEEDED


def _is_alive(settings: Settings, seen: Seen | None) -> bool:
    if seen is None:
        return embedded.status(settings.state.server) is not None
    now = servers_of_ours.look(seen.files)
    return now is not None and now.is_running


def _tail(log: Path, lines: int) -> int:
    """Print the last lines. Returns the end of the file, as an offset in bytes."""
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
    """Print what was added after `offset`. Returns the new end of the file, in bytes.

    A file that is shorter than before was rotated by the supervisor: read it from its start.
    """
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
