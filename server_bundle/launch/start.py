"""Starting a server from a launch plan, and following its start until it answers."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import DetachFailed
from jobs.processes import detach, identity
from server_bundle.errors import AnotherServer, ServerDidNotStart, StillStarting
from server_bundle.launch import exit_reason, readiness, registry, server_folder, server_state
from server_bundle.launch.registry import Observed
from server_bundle.launch.server_folder import ServerFiles
from server_bundle.launch.server_state import ServerState
from server_bundle.plan import plan_file
from server_bundle.plan.launch_plan import LaunchPlan

LOCK_SECONDS = 60.0
"""How long to wait for another `ktserver` that starts something: only until it is detached."""
KEEPER_SECONDS = 60.0
LOOK_SECONDS = 0.2
OnLook = Callable[[Observed, float], None]
"""Told what is seen, and the seconds since the start began."""


@dataclass(frozen=True)
class Begun:
    """`is_new`: whether we started it; else it ran, or was being started, before."""

    files: ServerFiles
    is_new: bool


def begin(servers: Path, name: str, plan: LaunchPlan, restart: str) -> Begun:
    """Start the server, detached, unless it runs. Returns before it is ready.

    Any number of processes may ask at once; one starts it. Raises `AnotherServer` when the name or
    the port is taken by something else, `ServerDidNotStart` when not even its keeper came up.
    """
    servers.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = identity.hold(servers / ".starting.lock", LOCK_SECONDS)
    if lock is None:
        raise ServerDidNotStart("another ktserver has been starting a server for too long")
    try:
        files = registry.files_of(servers, name)
        seen = registry.inspect(files)
        if seen is not None and seen.is_there:
            _refuse_another(seen, plan)
            return Begun(files, False)
        _refuse_taken_port(servers, plan)
        _spawn(files, plan, restart)
        return Begun(files, True)
    finally:
        lock.release()


def _refuse_another(seen: Observed, plan: LaunchPlan) -> None:
    name = seen.server.name
    if seen.leftovers and not seen.is_running:
        pids = ", ".join(str(one.pid) for one in seen.leftovers)
        raise AnotherServer(
            f"processes {pids} are left over from the last run of {name!r}; end them with: "
            f"ktserver down {name}"
        )
    if seen.server.profile != plan.profile:
        raise AnotherServer(
            f"{name!r} already runs at {seen.server.url} with the profile {seen.server.profile}, "
            f"not {plan.profile}. Stop it with `ktserver down {name}`, or give another --name"
        )
    if _plan_of(seen.files) != plan:
        raise AnotherServer(
            f"{name!r} already runs at {seen.server.url} with other settings than asked for. Stop "
            f"it with `ktserver down {name}`, or give another --name"
        )


def _plan_of(files: ServerFiles) -> LaunchPlan | None:
    try:
        return plan_file.load(files.plan)
    except (OSError, ValueError):
        return None


def last_plan(files: ServerFiles) -> LaunchPlan:
    """What the server was last started with. Raises `ServerDidNotStart`."""
    plan = _plan_of(files)
    if plan is None:
        raise ServerDidNotStart(f"{files.plan} is missing or damaged: use `ktserver up` again")
    return plan


def _refuse_taken_port(servers: Path, plan: LaunchPlan) -> None:
    """sglang itself opens its port after minutes of loading."""
    for one in registry.all_of(servers):
        if one.is_running and registry.is_same_place(one.server.url, plan.url):
            raise AnotherServer(
                f"port {plan.port} belongs to {one.server.name!r} (profile {one.server.profile}). "
                f"Stop it with `ktserver down {one.server.name}`, or choose another port"
            )
    try:
        family = socket.AF_INET6 if ":" in plan.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((plan.host, plan.port))
    except OSError as error:
        raise AnotherServer(
            f"port {plan.port} of {plan.host} cannot be used: {error.strerror or error}. Another "
            "program has it, or the address is not this machine's"
        ) from error


def _spawn(files: ServerFiles, plan: LaunchPlan, restart: str) -> None:
    program = plan.command[0]
    if shutil.which(program, path=plan.environment.get("PATH")) is None:
        raise ServerDidNotStart(f"{program} is no program that can be run")
    files.folder.mkdir(mode=0o700, exist_ok=True)
    server_folder.put(files.plan, plan_file.to_json(plan))
    if files.log.exists():
        os.replace(files.log, files.last_log)
    command = [
        sys.executable,
        "-m",
        "server_bundle.launch.supervisor",
        "--folder",
        str(files.folder),
    ]
    try:
        detach.spawn(
            [*command, "--restart", restart],
            log=files.log,
            cwd=files.folder,
            ready_seconds=KEEPER_SECONDS,
        )
    except DetachFailed as error:
        raise ServerDidNotStart(str(error)) from error


def follow(files: ServerFiles, key: str | None, seconds: float, on_look: OnLook) -> ServerState:
    """Wait until the server is ready by its log and answers over HTTP.

    Raises `ServerDidNotStart` with its last words, and `StillStarting` after `seconds`, counted
    from the beginning of its start; it is then left alone.
    """
    began = time.monotonic()
    while True:
        seen = registry.inspect(files)
        if seen is None or not seen.is_running:
            raise ServerDidNotStart(_why(files, seen))
        running_for = _since(seen, began)
        on_look(seen, running_for)
        if seen.state == server_state.READY and readiness.is_answering(seen.server.url, key):
            return seen.server
        if running_for > seconds:
            raise StillStarting(
                f"{seen.server.name!r} is not ready after {seconds:,.0f} s; its last stage is "
                f"{seen.server.stage!r}. It goes on: follow it with `ktserver logs -f "
                f"{seen.server.name}`, stop it with `ktserver down {seen.server.name}`"
            )
        time.sleep(LOOK_SECONDS)  # another process's note gives no event


def _since(seen: Observed, began: float) -> float:
    if seen.server.server is not None:
        age = identity.seconds_since_start(seen.server.server)
        if age is not None:
            return age
    return time.monotonic() - began


def _why(files: ServerFiles, seen: Observed | None) -> str:
    """How it ended and, by its log, why."""
    how, ended = "the server ended as soon as it had started", None
    if seen is not None and seen.server.ended is not None:
        ended = seen.server.ended
        how = f"{seen.server.name!r} ended after {ended.seconds:,.0f} s, at {ended.stage}"
        how += " (it was told to stop)" if ended.asked else f": {ended.in_words()}"
    elif seen is not None:
        how = f"{seen.server.name!r} is gone: {seen.why}"
    return f"{how}.\n{exit_reason.describe(files.log, ended)}"
