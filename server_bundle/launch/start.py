"""Starting a server from a launch plan, and waiting until it answers."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jobs import durations, private_folder, program
from jobs.errors import DetachFailed
from jobs.processes import detach, identity
from server_bundle.errors import AnotherServer, ServerDidNotStart, StillStarting
from server_bundle.launch import (
    exit_reason,
    readiness,
    registry,
    server_folder,
    server_state,
    start_progress,
)
from server_bundle.launch.registry import Observed
from server_bundle.launch.server_folder import ServerFiles
from server_bundle.launch.server_state import ServerState
from server_bundle.plan import installation, plan_file
from server_bundle.plan.launch_plan import LaunchPlan

LOCK_SECONDS = 60.0
"""How long to wait for another `ktserver` that starts a server; it only has to detach it."""
KEEPER_SECONDS = 60.0
LOOK_SECONDS = 0.2
OnLook = Callable[[Observed, float], None]
"""Called with the server's observed state, and the seconds since its start."""


@dataclass(frozen=True)
class Begun:
    """`is_new`: whether this call started the server; else it was running or starting before."""

    files: ServerFiles
    is_new: bool


def begin(
    servers: Path, name: str, plan: LaunchPlan, restart: str, *, is_warmed: bool = True
) -> Begun:
    """Start the server, detached, unless it runs. Returns before it is ready. `is_warmed`: whether
    the supervisor warms it up after each restart.

    Several processes may call this simultaneously; one of them starts the server. Raises
    `AnotherServer` when the name or the port is already in use, `ServerDidNotStart` when its
    supervisor did not start.
    """
    private_folder.make(servers)
    lock = identity.hold(servers / ".starting.lock", LOCK_SECONDS)
    if lock is None:
        raise ServerDidNotStart(
            f"another ktserver is still starting a server after {LOCK_SECONDS:g} s. Wait for it, "
            "then try again"
        )
    try:
        files = registry.files_of(servers, name)
        seen = registry.inspect(files)
        if seen is not None and seen.is_there:
            _refuse_another(seen, plan)
            return Begun(files, False)
        _refuse_taken_port(servers, plan)
        _spawn(files, plan, ["--restart", restart, *([] if is_warmed else ["--no-warm-up"])])
        return Begun(files, True)
    finally:
        lock.release()


def _refuse_another(seen: Observed, plan: LaunchPlan) -> None:
    name = seen.server.name
    if seen.leftovers and not seen.is_running:
        pids = ", ".join(str(one.pid) for one in seen.leftovers)
        raise AnotherServer(
            f"processes {pids} are left over from the last run of {name!r}. Stop them with: "
            f"ktserver down {name}"
        )
    if seen.server.profile != plan.profile:
        raise AnotherServer(
            f"{name!r} already runs at {seen.server.url} with the profile {seen.server.profile}, "
            f"not {plan.profile}. Stop it with `ktserver down {name}`, or choose another --name"
        )
    if _plan_of(seen.files) != plan:
        raise AnotherServer(
            f"{name!r} already runs at {seen.server.url} with other settings than requested. Stop "
            f"it with `ktserver down {name}`, or choose another --name"
        )


def _plan_of(files: ServerFiles) -> LaunchPlan | None:
    try:
        return plan_file.load(files.plan)
    except (OSError, ValueError):
        return None


def last_plan(files: ServerFiles) -> LaunchPlan:
    """The plan of the server's last start. Raises `ServerDidNotStart`."""
    plan = _plan_of(files)
    if plan is None:
        raise ServerDidNotStart(
            f"the plan of the last start, {files.plan}, is missing or damaged. Start the server "
            "with `ktserver up`"
        )
    return plan


def _refuse_taken_port(servers: Path, plan: LaunchPlan) -> None:
    """Refuse a port in use now: sglang opens its port only after minutes of loading."""
    for one in registry.all_of(servers):
        if one.is_running and registry.is_same_place(one.server.url, plan.url):
            raise AnotherServer(
                f"port {plan.port} is used by {one.server.name!r} (profile {one.server.profile}). "
                f"Stop it with `ktserver down {one.server.name}`, or choose another --port"
            )
    try:
        family = socket.AF_INET6 if ":" in plan.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((plan.host, plan.port))
    except OSError as error:
        raise AnotherServer(
            f"port {plan.port} of {plan.host} cannot be used: {error.strerror or error}. Another "
            "program uses it, or this machine does not have that address: choose another --port or "
            "--host"
        ) from error


def _spawn(files: ServerFiles, plan: LaunchPlan, options: list[str]) -> None:
    executable = plan.command[0]
    if shutil.which(executable, path=plan.environment.get("PATH")) is None:
        raise ServerDidNotStart(
            f"cannot find the program {executable}. Install it, or name the server's interpreter "
            "with --python"
        )
    if refusal := installation.refusal(plan.python):
        raise ServerDidNotStart(refusal)
    private_folder.make(files.folder)
    server_folder.write_private(files.plan, plan_file.to_json(plan))
    if files.log.exists():
        os.replace(files.log, files.last_log)
    command = [
        *program.command("server_bundle.launch.supervisor"),
        "--folder",
        str(files.folder),
    ]
    try:
        detach.spawn(
            [*command, *options],
            log=files.log,
            cwd=files.folder,
            ready_seconds=KEEPER_SECONDS,
        )
    except DetachFailed as error:
        raise ServerDidNotStart(str(error)) from error


def follow(files: ServerFiles, key: str | None, seconds: float, on_look: OnLook) -> ServerState:
    """Wait until the server is ready by its log and answers over HTTP.

    Raises `ServerDidNotStart` with the cause or its last log lines, and `StillStarting` after
    `seconds`, counted from the server's start; then the start continues.
    """
    began = time.monotonic()
    while True:
        seen = registry.inspect(files)
        if seen is None or not seen.is_running:
            raise ServerDidNotStart(_why(files, seen))
        running_for = _since(seen, began)
        on_look(seen, running_for)
        server = seen.server
        if seen.state == server_state.READY and readiness.is_answering(
            server.url, key, server.engine
        ):
            return server
        if running_for > seconds:
            raise StillStarting(
                f"{seen.server.name!r} is not ready after {durations.rough(seconds)} s; its last "
                f"stage is {seen.server.stage!r}. It is still starting: follow it "
                f"with `ktserver logs -f {seen.server.name}`, or stop it with `ktserver "
                f"down {seen.server.name}`"
            )
        time.sleep(LOOK_SECONDS)  # no event reports a new record of another process


def _since(seen: Observed, began: float) -> float:
    if seen.server.server is not None:
        age = identity.seconds_since_start(seen.server.server)
        if age is not None:
            return age
    return time.monotonic() - began


def _why(files: ServerFiles, seen: Observed | None) -> str:
    """How the server ended and, by its log, why."""
    how, ended = "the server ended right after its start", None
    if seen is not None and seen.server.ended is not None:
        ended = seen.server.ended
        after = f"{durations.rough(ended.seconds)} s"
        how = f"{seen.server.name!r} ended after {after}, in stage {ended.stage!r}"
        how += " (it was stopped on request)" if ended.asked else f": {ended.in_words()}"
    elif seen is not None:
        how = f"{seen.server.name!r} has ended: {seen.why}"
    text = f"{how}.\n{exit_reason.describe(files.log, ended)}"
    if ended is not None and not ended.asked and ended.stage == start_progress.FIRST:
        text += (
            "\n`ktserver doctor --deep` with the same options tries every import of a start, and "
            "names what is broken"
        )
    return text
