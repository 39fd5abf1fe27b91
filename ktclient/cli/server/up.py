"""`ktserver up` and `restart`."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ktclient.cli import exit_codes
from ktclient.cli.render import progress_line, screen
from ktclient.cli.server import down, preflight, selection
from ktclient.cli.server import plan as server_plan
from ktclient.config import settings as config
from ktclient.config.settings import EMBEDDED, Settings
from ktclient.errors import BadInput
from server_bundle.launch import server_state

if TYPE_CHECKING:
    from server_bundle.launch.registry import Seen
    from server_bundle.launch.server_folder import ServerFiles
    from server_bundle.launch.server_state import KeptServer
    from server_bundle.plan.launch_plan import LaunchPlan

_LONG_STAGE_SECONDS = 20.0
"""After so long in a stage its last log line is shown too."""


def plan_from(
    settings: Settings, options: dict[str, Any], is_dry: bool
) -> tuple[LaunchPlan | None, Sequence[str]]:
    """The plan that these options mean, its key in its file, and what is to be known of it; no plan
    is the embedded server."""
    profile, plan_file = options.pop("profile"), options.pop("plan_file")
    given = [name for name, value in options.items() if value]
    if plan_file is not None:
        if profile is not None or given:
            raise BadInput("--plan FILE holds everything: leave --profile and its options out")
        return _plan_in(plan_file), ()
    if profile == EMBEDDED or (profile is None and not given):
        if given:
            raise BadInput(f"the embedded server takes no --{given[0].replace('_', '-')}")
        return None, ()
    from ktclient.servers import own_plan
    from ktclient.servers.own_plan import Wanted

    if not options["model"]:
        raise BadInput("--model DIR: which folder are the weights in?")
    wanted = Wanted(profile=profile or server_plan.DEFAULT_PROFILE, **options)
    planned = own_plan.work_out(wanted, settings)
    if not is_dry:
        own_plan.write_key(planned, settings)
    return planned.plan, planned.notes


def _plan_in(file: str) -> LaunchPlan:
    from server_bundle.plan import plan_file as plan_plan_file

    try:
        return plan_plan_file.load(Path(file))
    except (OSError, ValueError) as error:
        raise BadInput(f"--plan {file}: {error}") from None


@click.command()
@click.option("--profile", metavar="P", help="What to start; `embedded` when none is named.")
@server_plan.planning_options
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
    plan, notes = plan_from(settings, options, dry_run)
    if plan is None:
        return _up_embedded(settings, dry_run, as_json)
    name = selection.checked(name or plan.profile)
    if dry_run:
        _say(notes)
        folder = settings.state.servers / name
        selection.show_dry(plan, name, folder, restart, not no_warm_up)
        return exit_codes.SUCCEEDED
    if is_checked and not _is_there(settings, name):
        preflight.require(plan)
    _say(notes)
    return _up(settings, name, plan, restart, _Manner(not no_warm_up, as_json))


def _say(notes: Sequence[str]) -> None:
    for note in notes:
        screen.say(f"note: {note}")


def _is_there(settings: Settings, name: str) -> bool:
    from server_bundle.launch import registry

    seen = registry.look(registry.files_of(settings.state.servers, name))
    return seen is not None and seen.is_there


@dataclasses.dataclass(frozen=True)
class _Manner:
    is_warmed: bool
    as_json: bool


def _up_embedded(settings: Settings, dry_run: bool, as_json: bool) -> int:
    from server_bundle.embedded import server as embedded

    if dry_run:
        running = embedded.status(settings.state.server)
        screen.say("would start the embedded server" if running is None else "it runs already")
        return exit_codes.SUCCEEDED
    with progress_line.line() as line:
        up_now = embedded.ensure_up(settings.state.server, settings.cache, line.download)
    if as_json:
        screen.put(json.dumps(asdict(up_now)))
    else:
        screen.put(up_now.url)
        selection.show_embedded(up_now)
    return exit_codes.SUCCEEDED


def _up(settings: Settings, name: str, plan: LaunchPlan, restart: str, manner: _Manner) -> int:
    from server_bundle.launch import start

    settings.state.create()
    begun = start.begin(settings.state.servers, name, plan, restart)
    if not begun.is_new:
        screen.say(f"{name!r} was started before")
    try:
        server = _follow(begun.files, plan, settings.api_key)
        if begun.is_new and manner.is_warmed:
            server = _warmed(server, plan, settings.api_key)
    except KeyboardInterrupt:
        screen.say(
            f"detached: {name!r} goes on. Follow it with `ktserver logs -f {name}`, look with "
            f"`ktserver status`, stop it with `ktserver down {name}`"
        )
        return exit_codes.INTERRUPTED
    if manner.as_json:
        screen.put(json.dumps(server.to_dict()))
        return exit_codes.SUCCEEDED
    selection.show(server)
    screen.put(server.url)
    return exit_codes.SUCCEEDED


def _follow(files: ServerFiles, plan: LaunchPlan, key: str | None) -> KeptServer:
    from server_bundle.launch import start

    with progress_line.line() as line:
        return start.follow(files, key, plan.ready_seconds, _Stages(line).show)


class _Stages:
    """What a start is at; in a stage that takes long, the server's own last words."""

    def __init__(self, line: progress_line.Line) -> None:
        self._line = line
        self._stage, self._since = "", time.monotonic()

    def show(self, seen: Seen, seconds: float) -> None:
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
        if seen.state == server_state.READY:
            return "ready by its log; waiting until it answers"
        return seen.server.stage if seen.state == server_state.STARTING else seen.state


def _last_line(server: KeptServer) -> str:
    from jobs.processes import detach

    lines = detach.tail(Path(server.log), 600).splitlines()
    return screen.one_line(lines[-1])[:100] if lines else ""


def _warmed(server: KeptServer, plan: LaunchPlan, key: str | None) -> KeptServer:
    """After its first forward: a failed one is a warning, the server runs."""
    from server_bundle.launch import readiness, registry

    began = time.monotonic()
    screen.say(f"  warming up with {max(1, plan.warmup_tokens):,} tokens")
    warm = readiness.warm_up(server.url, server.model, plan.warmup_tokens, key)
    spent = screen.duration(time.monotonic() - began)
    if warm.why:
        screen.say(f"  warning: the warm-up went wrong after {spent}: {warm.why}")
    else:
        screen.say(f"  warmed up with {warm.tokens:,} tokens in {spent}")
    told = registry.read_log(server)
    return dataclasses.replace(server, warnings=tuple(told.warnings))


@click.command()
@click.argument("name", required=False)
@click.option("--timeout", type=float, metavar="S", help="Seconds to let requests end; 60.")
@click.option("--force", is_flag=True, help="Although jobs of ours run on it.")
@click.option("--no-warm-up", is_flag=True, help="Leave the first forward to the first user.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def restart(
    name: str | None,
    timeout: float | None,
    force: bool,
    no_warm_up: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Stop a server and start it again as it was started last, also after a crash."""
    from server_bundle.launch import start

    settings = config.load()
    seen = selection.find(settings, name)
    if seen is None:
        code = down.stop_embedded(settings, force, dry_run)
        return code or _up_embedded(settings, dry_run, as_json)
    plan, again = start.last_plan(seen.files), seen.server.restart
    code, _ = down.stop(settings, seen, down.drain_seconds(timeout), force, dry_run)
    if code or dry_run:
        return code
    return _up(settings, seen.server.name, plan, again, _Manner(not no_warm_up, as_json))
