"""Find the server that a `ktserver` command names, and print facts about a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jobs import durations
from ktclient import wording
from ktclient.cli.render import output, units
from ktclient.config.settings import EMBEDDED, Settings
from ktclient.errors import BadInput
from server_bundle.embedded import server as embedded
from server_bundle.launch import readiness, registry, server_state

if TYPE_CHECKING:
    from server_bundle.launch.registry import Observed
    from server_bundle.launch.running_note import RunningServer
    from server_bundle.launch.server_state import ServerState
    from server_bundle.plan.launch_plan import LaunchPlan


def checked(name: str) -> str:
    """The name, if it is valid for a server. Raises `BadInput`."""
    if name == EMBEDDED or not registry.NAME.fullmatch(name):
        raise BadInput(
            f"--name {name}: a name consists of letters, digits, dots, dashes and underscores, "
            f"starts with a letter or a digit, and is not {EMBEDDED!r}"
        )
    return name


def find(settings: Settings, name: str | None) -> Observed | None:
    """The server of this name, or the only one that exists; None means the embedded server.

    Without a name, running servers are preferred. Raises `BadInput` if several are left.
    """
    known = registry.all_of(settings.state.servers)
    if name is not None:
        return None if name == EMBEDDED else _by_name(known, name)
    running = [one for one in known if one.is_there]
    has_embedded = embedded.status(settings.state.server) is not None
    candidates = running or ([] if has_embedded else known)
    if len(candidates) + has_embedded > 1:
        names = [one.server.name for one in candidates] + [EMBEDDED] * has_embedded
        raise BadInput(f"there are several servers; name one of: {', '.join(names)}")
    return candidates[0] if candidates else None


def _by_name(known: list[Observed], name: str) -> Observed:
    for one in known:
        if one.server.name == name:
            return one
    names = ", ".join([EMBEDDED, *(one.server.name for one in known)])
    raise BadInput(f"there is no server {name!r}; known servers: {names}")


def show_embedded(running: RunningServer) -> None:
    """Print facts about the embedded server."""
    output.note(f"  model    {running.model}, window {running.window:,} tokens")
    output.note(f"  process  {running.process.pid}, since {units.local_time(running.started_at)}")
    output.note(f"  idle     stops after {units.duration(running.idle_seconds)} without a request")
    output.note(f"  log      {running.log}")


def show(server: ServerState) -> None:
    """Print the figures that the guide says to check, and where things are."""
    figures = server.figures
    engine = f"{server.engine} {server.version or ''}".strip()
    lines = [
        ("model", f"{server.model}, profile {server.profile}, {engine}"),
        ("pool", _pool(server)),
        ("chunk", _tokens(figures.get("chunk"), "chunked_prefill_size")),
        ("memory", _memory(figures)),
        ("experts", readiness.reservation(server)),
        ("graphs", _seconds(figures.get("graphs"), "to capture")),
        ("start-up", _seconds(server.start_seconds, "from start to READY")),
        ("process", _processes(server)),
        ("restart", _restarts(server)),
        ("warm-up", _warm_up(server)),
        ("log", server.log),
    ]
    for name, text in lines:
        if text:
            output.note(f"  {name:<8} {text}")
    for warning in warnings(server):
        output.note(f"  warning: {warning}")


def warnings(server: ServerState) -> list[str]:
    """Problems that the user should know before the first long request."""
    return [
        *(readiness.pool_doubts(server) if server.state == server_state.READY else []),
        *(f"prefill will be very slow; its log says: {line}" for line in server.warnings),
    ]


def _pool(server: ServerState) -> str:
    if server.pool is None:
        return ""
    planned = f", planned {server.planned_pool:,}" if server.planned_pool is not None else ""
    window = f"; context {server.window:,}" if server.window is not None else ""
    return f"max_total_num_tokens={server.pool:,}{planned}{window}"


def _tokens(value: float | None, name: str) -> str:
    return "" if value is None else f"{name}={value:,.0f}"


def _memory(figures: dict[str, float]) -> str:
    if "available" not in figures:
        return ""
    return f"{figures['available']:g} GB left (in its log: available_gpu_mem)"


def _seconds(value: float | None, what: str) -> str:
    return "" if value is None else f"{durations.exact(value)} s {what}"


def _processes(server: ServerState) -> str:
    pid = f"{server.server.pid}" if server.server else "none"
    since = f", since {units.local_time(server.started_at)}" if server.started_at else ""
    others = len(server.members) - 1
    more = f" and {others} more" if others > 0 else ""
    return f"{pid}{more}, supervised by {server.keeper.pid}{since}"


def _restarts(server: ServerState) -> str:
    if not server.restart_count:
        return "" if server.restart == server_state.NO else f"{server.restart}; none so far"
    last = server.restarts[-1]
    return f"{server.restart_count} so far, the last {units.local_time(last.at)} after {last.why}"


def _warm_up(server: ServerState) -> str:
    if server.warm_up == server_state.WARMING:
        return "in progress after the restart"
    return server.warm_up


def show_dry(plan: LaunchPlan, name: str, folder: Path, restart: str, is_warmed: bool) -> None:
    """Print what `up` would do: the script on stdout, the rest on stderr."""
    output.print_data(plan.script().rstrip("\n"))
    output.note(f"would start {name!r} with this script, in the background, at {plan.url}")
    output.note(f"  log      {folder / 'server.log'}, rotated at 32 MB")
    output.note(f"  ready    waits up to {units.duration(plan.ready_seconds)}")
    output.note(f"  warm-up  {wording.count(plan.warmup_tokens, 'token') if is_warmed else 'none'}")
    output.note(f"  restart  {restart}")
