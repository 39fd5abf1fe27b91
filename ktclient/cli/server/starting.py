"""Starting a server and following its start, for `up` and `restart`."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs import known_secrets
from ktclient import wording
from ktclient.cli import exit_codes
from ktclient.cli.render import output, progress_line, terminal_text, units
from ktclient.cli.server import plan_options as server_plan
from ktclient.cli.server import selection
from ktclient.config.settings import EMBEDDED, Settings
from ktclient.errors import BadInput
from server_bundle.launch import server_state

if TYPE_CHECKING:
    from server_bundle.launch.registry import Observed
    from server_bundle.launch.server_folder import ServerFiles
    from server_bundle.launch.server_state import ServerState
    from server_bundle.plan.launch_plan import LaunchPlan


_LONG_STAGE_SECONDS = 20.0
"""After this time in one stage the server's last log line is shown too."""


def plan_from(
    settings: Settings, options: dict[str, Any], is_dry: bool
) -> tuple[LaunchPlan | None, Sequence[str]]:
    """The plan for these options, and notes about it. None means the embedded server.

    Writes the server's key to its file unless `is_dry`. Raises `BadInput`.
    """
    profile, plan_file = options.pop("profile"), options.pop("plan_file")
    given = [name for name, value in options.items() if value not in (None, (), False)]
    if plan_file is not None:
        if profile is not None or given:
            raise BadInput("--plan FILE is complete: leave out --profile and its options")
        return _plan_in(plan_file), ()
    if options["gguf"] is not None:
        return _gguf_plan(settings, profile, options, is_dry)
    for name in ("gpu_layers", "parallel"):
        if options.pop(name) is not None:
            raise BadInput(f"--{name.replace('_', '-')} is for --gguf FILE")
    del options["gguf"]
    if profile == EMBEDDED or (profile is None and not given):
        if given:
            raise BadInput(f"the embedded server takes no --{given[0].replace('_', '-')}")
        return None, ()
    from ktclient.servers import own_plan
    from ktclient.servers.own_plan import PlanOptions

    own_plan.require_profile(profile or server_plan.DEFAULT_PROFILE)
    if not options["model"]:
        raise BadInput("--model DIR is required: the folder of the weights")
    wanted = PlanOptions(profile=profile or server_plan.DEFAULT_PROFILE, **options)
    planned = own_plan.work_out(wanted, settings)
    if not is_dry:
        own_plan.write_key(planned, settings)
    return planned.plan, planned.notes


_OF_GGUF = ("gguf", "gpu_layers", "parallel", "context", "host", "port", "served_model_name")


def _gguf_plan(
    settings: Settings, profile: str | None, options: dict[str, Any], is_dry: bool
) -> tuple[LaunchPlan, Sequence[str]]:
    """The plan of `--gguf FILE`, and notes. Raises `BadInput` for options of other engines."""
    from server_bundle.embedded import gguf
    from server_bundle.plan import key_file

    others = [name for name, value in options.items() if name not in _OF_GGUF and value]
    if profile is not None or others:
        other = "profile" if profile is not None else others[0]
        raise BadInput(
            f"--gguf takes no --{other.replace('_', '-')}: only --context, --gpu-layers, "
            "--parallel, --host, --port and --served-model-name"
        )
    wanted = gguf.Wanted(
        file=options["gguf"],
        context=options["context"],
        gpu_layers=options["gpu_layers"],
        parallel=options["parallel"],
        host=options["host"],
        port=options["port"],
        name=options["served_model_name"],
    )
    plan, notes = gguf.plan(wanted, None), gguf.doubts(wanted)
    key = settings.key_of_started(plan.url)
    if key is None:
        return plan, notes
    if not is_dry:
        key_file.write(settings.state.make_root().root, key)
    return gguf.plan(wanted, settings.state.root / key_file.NAME), notes


def _plan_in(file: str) -> LaunchPlan:
    from server_bundle.plan import plan_file as plan_plan_file

    try:
        return plan_plan_file.load(Path(file))
    except (OSError, ValueError) as error:
        raise BadInput(f"--plan {file}: {wording.reason(error)}") from None


def print_notes(notes: Sequence[str]) -> None:
    for note in notes:
        output.note(f"note: {note}")


def is_running(settings: Settings, name: str) -> bool:
    from server_bundle.launch import registry

    seen = registry.inspect(registry.files_of(settings.state.servers, name))
    return seen is not None and seen.is_there


@dataclasses.dataclass(frozen=True)
class StartOptions:
    is_warmed: bool
    as_json: bool


def start_embedded(settings: Settings, dry_run: bool, as_json: bool) -> int:
    from server_bundle.embedded import server as embedded

    if dry_run:
        running = embedded.status(settings.state.server)
        output.note("would start the embedded server" if running is None else "already running")
        return exit_codes.SUCCEEDED
    with progress_line.line() as line:
        up_now = embedded.ensure_up(
            settings.state.make_root().server, settings.cache, line.download
        )
    if as_json:
        output.print_data(json.dumps(asdict(up_now)))
    else:
        output.print_data(up_now.url)
        selection.show_embedded(up_now)
    return exit_codes.SUCCEEDED


def start(
    settings: Settings, name: str, plan: LaunchPlan, restart: str, manner: StartOptions
) -> int:
    from server_bundle.launch import start as launch_start

    settings.state.create()
    try:
        servers = settings.state.make_root().servers
        is_warmed = manner.is_warmed
        begun = launch_start.begin(servers, name, plan, restart, is_warmed=is_warmed)
        if not begun.is_new:
            output.note(f"{name!r} was already started")
        key = settings.key_of_started(plan.url)
        server = _follow(begun.files, plan, key)
        if begun.is_new and manner.is_warmed:
            server = _warmed(server, plan, key)
    except KeyboardInterrupt:
        if not is_running(settings, name):
            raise
        output.note(
            f"detached; {name!r} is still starting. Follow its log: ktserver logs -f {name}. Show "
            f"its state: ktserver status. Stop it: ktserver down {name}"
        )
        return exit_codes.INTERRUPTED
    if manner.as_json:
        output.print_data(json.dumps(server.to_dict()))
        return exit_codes.SUCCEEDED
    selection.show(server)
    output.print_data(server.url)
    return exit_codes.SUCCEEDED


def _follow(files: ServerFiles, plan: LaunchPlan, key: str | None) -> ServerState:
    from server_bundle.launch import start as launch_start

    with progress_line.line() as line:
        return launch_start.follow(files, key, plan.ready_seconds, _Stages(line).show)


class _Stages:
    """Shows the stage of a start; in a long stage also the server's last log line."""

    def __init__(self, line: progress_line.Line) -> None:
        self._line = line
        self._stage, self._since = "", time.monotonic()

    def show(self, seen: Observed, seconds: float) -> None:
        """Show a look at the server, `seconds` after its start began."""
        server = seen.server
        if server.stage != self._stage:
            self._stage, self._since = server.stage, time.monotonic()
        spent = time.monotonic() - self._since
        share = f" {server.done:,} of {server.total:,}" if server.total else ""
        text = f"{server.name}: {self._words(seen)}{share}  {units.duration(seconds)}"
        if spent > _LONG_STAGE_SECONDS:
            text += f"  {_last_line(server)}"
        stage = f"{seen.state} {server.stage} {spent // 60:.0f}"
        self._line.start(text, stage, server.done, server.total)

    def _words(self, seen: Observed) -> str:
        if seen.state == server_state.READY:
            return "ready according to its log; waiting for its first answer"
        return seen.server.stage if seen.state == server_state.STARTING else seen.state


def _last_line(server: ServerState) -> str:
    from jobs.processes import detach

    lines = detach.tail(Path(server.log), 600).splitlines()
    return terminal_text.one_line(known_secrets.hide_foreign(lines[-1]))[:100] if lines else ""


def _warmed(server: ServerState, plan: LaunchPlan, key: str | None) -> ServerState:
    """Send the warm-up request. A failure is only a warning, because the server is running."""
    from server_bundle.launch import readiness, registry

    began = time.monotonic()
    output.note(f"  warming up with {wording.count(max(1, plan.warmup_tokens), 'token')}")
    warm = readiness.warm_up(server.url, server.model, plan.warmup_tokens, key)
    spent = units.duration(time.monotonic() - began)
    if warm.why:
        output.note(f"  warning: the warm-up failed after {spent}: {warm.why}")
    else:
        output.note(f"  warmed up with {wording.count(warm.tokens, 'token')} in {spent}")
    logged = registry.read_log(server)
    figures = {**server.figures, **logged.figures}
    return dataclasses.replace(server, figures=figures, warnings=tuple(logged.warnings))
