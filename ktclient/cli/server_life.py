"""`ktserver up` and `ktserver restart`."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ktclient import config
from ktclient.cli import exits, live, screen, server_check, server_down, server_named, server_plan
from ktclient.config import EMBEDDED, Settings
from ktclient.errors import BadInput
from server_bundle import kept

if TYPE_CHECKING:
    from server_bundle.kept import KeptServer
    from server_bundle.launch_plan import LaunchPlan
    from server_bundle.record import ServerFiles
    from server_bundle.servers_of_ours import Seen

_LONG_STAGE_SECONDS = 20.0
"""After this time in one stage the server's last log line is shown too."""


def plan_from(
    settings: Settings, options: dict[str, Any], is_dry: bool
) -> tuple[LaunchPlan | None, Sequence[str]]:
    """The plan for these options, and notes about it. None means the embedded server.

    Writes the server's key to its file unless `is_dry`. Raises `BadInput`.
    """
    profile, plan_file = options.pop("profile"), options.pop("plan_file")
    given = [name for name, value in options.items() if value]
    if plan_file is not None:
        if profile is not None or given:
            raise BadInput("--plan FILE is complete: leave out --profile and its options")
        return _plan_in(plan_file), ()
    if profile == EMBEDDED or (profile is None and not given):
        if given:
            raise BadInput(f"the embedded server takes no --{given[0].replace('_', '-')}")
        return None, ()
    from ktclient import server_planning
    from ktclient.server_planning import Wanted

    if not options["model"]:
        raise BadInput("which folder are the weights in? Use --model DIR")
    wanted = Wanted(profile=profile or server_plan.DEFAULT_PROFILE, **options)
    planned = server_planning.work_out(wanted, settings)
    if not is_dry:
        server_planning.write_key(planned, settings)
    return planned.plan, planned.notes


def _plan_in(file: str) -> LaunchPlan:
    from server_bundle import plan_json

    try:
        return plan_json.load(Path(file))
    except (OSError, ValueError) as error:
        raise BadInput(f"--plan {file}: {error}") from None


@click.command()
@click.option("--profile", metavar="P", help="Profile to start (default: embedded).")
@server_plan.planning_options
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
    type=click.Choice([kept.NO, kept.ON_FAILURE]),
    default=kept.NO,
    help="Restart policy after a crash, with exponential backoff (default: no).",
)
@click.option("--no-check", is_flag=True, help="Skip the preflight checks of `ktserver doctor`.")
@click.option(
    "--no-warm-up",
    is_flag=True,
    help="Skip the warm-up request; the first user request will be slower.",
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

    Without a profile this is the embedded server: the first start downloads its model (93 MB), and
    it stops after half an hour without a request. Every other server runs until `ktserver down`.
    Ctrl-C only detaches; the start continues. An ERROR of `ktserver doctor` prevents the start,
    except with --plan, which is used without checks.
    """
    settings = config.load()
    is_checked = not no_check and options["plan_file"] is None
    plan, notes = plan_from(settings, options, dry_run)
    if plan is None:
        return _up_embedded(settings, dry_run, as_json)
    name = server_named.checked(name or plan.profile)
    if dry_run:
        _say(notes)
        folder = settings.state.servers / name
        server_named.show_dry(plan, name, folder, restart, not no_warm_up)
        return exits.SUCCEEDED
    if is_checked and not _is_there(settings, name):
        server_check.require(plan)
    _say(notes)
    return _up(settings, name, plan, restart, _Manner(not no_warm_up, as_json))


def _say(notes: Sequence[str]) -> None:
    for note in notes:
        screen.say(f"note: {note}")


def _is_there(settings: Settings, name: str) -> bool:
    from server_bundle import servers_of_ours

    seen = servers_of_ours.look(servers_of_ours.files_of(settings.state.servers, name))
    return seen is not None and seen.is_there


@dataclasses.dataclass(frozen=True)
class _Manner:
    is_warmed: bool
    as_json: bool


def _up_embedded(settings: Settings, dry_run: bool, as_json: bool) -> int:
    from server_bundle import embedded

    if dry_run:
        running = embedded.status(settings.state.server)
        screen.say("would start the embedded server" if running is None else "already running")
        return exits.SUCCEEDED
    with live.line() as line:
        up_now = embedded.ensure_up(settings.state.server, settings.cache, line.download)
    if as_json:
        screen.put(json.dumps(asdict(up_now)))
    else:
        screen.put(up_now.url)
        server_named.show_embedded(up_now)
    return exits.SUCCEEDED


def _up(settings: Settings, name: str, plan: LaunchPlan, restart: str, manner: _Manner) -> int:
    from server_bundle import launch

    settings.state.create()
    begun = launch.begin(settings.state.servers, name, plan, restart)
    if not begun.is_new:
        screen.say(f"{name!r} was already started")
    try:
        server = _follow(begun.files, plan, settings.api_key)
        if begun.is_new and manner.is_warmed:
            server = _warmed(server, plan, settings.api_key)
    except KeyboardInterrupt:
        screen.say(
            f"detached; {name!r} is still starting. Follow its log: ktserver logs -f {name}. Show "
            f"its state: ktserver status. Stop it: ktserver down {name}"
        )
        return exits.INTERRUPTED
    if manner.as_json:
        screen.put(json.dumps(server.to_dict()))
        return exits.SUCCEEDED
    server_named.show(server)
    screen.put(server.url)
    return exits.SUCCEEDED


def _follow(files: ServerFiles, plan: LaunchPlan, key: str | None) -> KeptServer:
    from server_bundle import launch

    with live.line() as line:
        return launch.follow(files, key, plan.ready_seconds, _Stages(line).show)


class _Stages:
    """Shows the stage of a start; in a long stage also the server's last log line."""

    def __init__(self, line: live.Line) -> None:
        self._line = line
        self._stage, self._since = "", time.monotonic()

    def show(self, seen: Seen, seconds: float) -> None:
        """Show a look at the server, `seconds` after its start began."""
        server = seen.server
        if server.stage != self._stage:
            self._stage, self._since = server.stage, time.monotonic()
        spent = time.monotonic() - self._since
        share = f" {server.done:,} of {server.total:,}" if server.total else ""
        text = f"{server.name}: {self._words(seen)}{share}  {screen.duration(seconds)}"
        if spent > _LONG_STAGE_SECONDS:
            text += f"  {_last_line(server)}"
        stage = f"{seen.state} {server.stage} {spent // 60:.0f}"
        self._line.start(text, stage, server.done, server.total)

    def _words(self, seen: Seen) -> str:
        if seen.state == kept.READY:
            return "ready according to its log; waiting for its first answer"
        return seen.server.stage if seen.state == kept.STARTING else seen.state


def _last_line(server: KeptServer) -> str:
    from jobs import detach

    lines = detach.tail(Path(server.log), 600).splitlines()
    return screen.one_line(lines[-1])[:100] if lines else ""


def _warmed(server: KeptServer, plan: LaunchPlan, key: str | None) -> KeptServer:
    """Send the warm-up request. A failure is only a warning, because the server is running."""
    from server_bundle import readiness, servers_of_ours

    began = time.monotonic()
    screen.say(f"  warming up with {max(1, plan.warmup_tokens):,} tokens")
    warm = readiness.warm_up(server.url, server.model, plan.warmup_tokens, key)
    spent = screen.duration(time.monotonic() - began)
    if warm.why:
        screen.say(f"  warning: the warm-up failed after {spent}: {warm.why}")
    else:
        screen.say(f"  warmed up with {warm.tokens:,} tokens in {spent}")
    logged = servers_of_ours.read_log(server)
    return dataclasses.replace(server, warnings=tuple(logged.warnings))


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
    from server_bundle import launch

    settings = config.load()
    seen = server_named.find(settings, name)
    if seen is None:
        code = server_down.stop_embedded(settings, force, dry_run)
        return code or _up_embedded(settings, dry_run, as_json)
    plan, again = launch.last_plan(seen.files), seen.server.restart
    code, _ = server_down.stop(settings, seen, server_down.drain_seconds(timeout), force, dry_run)
    if code or dry_run:
        return code
    return _up(settings, seen.server.name, plan, again, _Manner(not no_warm_up, as_json))
