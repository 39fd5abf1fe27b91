"""Ensuring that a runner lives."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs import program
from jobs.errors import DetachFailed, NotYours
from jobs.model import Identity
from jobs.processes import identity
from jobs.store.files.opening import SCHEMA_VERSION
from jobs.store.state_dir import StateDir

TROUBLE = "trouble"
"""What the runner adds to its signature while it cannot start jobs."""
LOAD_SECONDS = 120.0
"""How long a runner may take to load its program: a second or two on a quiet machine."""
RUNNER_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
"""Workers send a document of megabytes and then wait for half an hour. These settings make glibc
return such memory to the kernel (mallopt(3)), which saves 7 MB for each request. Other C libraries
ignore them."""


@dataclass(frozen=True)
class Trouble:
    """Why a live runner starts no jobs."""

    pid: int
    since: str
    """In the form of `jobs.clock`."""
    reason: str
    program: str
    """Which installation cannot be started."""


def is_runner_alive(state: StateDir) -> bool:
    """Whether a runner serves this directory. One that leaves to the next that can be started does
    not count: see `is_runner_leaving`. Nor does one behind another user's lock file."""
    try:
        return identity.is_held(state.runner_lock) and not is_runner_leaving(state)
    except NotYours:
        return False


def is_runner_leaving(state: StateDir) -> bool:
    """Whether the runner that holds the lock will release it to one of this process's code: it has
    an older schema than the database, or its own installation can be started no more. With the same
    installation there is nothing to gain: a ring makes that runner try again."""
    signed = identity.signature(state.runner_lock)
    trouble = _trouble_in(signed)
    return _is_older(signed) or (trouble is not None and trouble.program != installation())


def installation() -> str:
    """What distinguishes this installation of ktjob from others."""
    return f"{sys.prefix} {program.__file__}"


def runner_trouble(state: StateDir) -> Trouble | None:
    """Why the live runner starts no jobs; None if it does, or if none is alive."""
    try:
        return _trouble_in(identity.signature(state.runner_lock))
    except NotYours:
        return None


def _trouble_in(signed: Mapping[str, Any]) -> Trouble | None:
    found = signed.get(TROUBLE)
    if not isinstance(found, dict):
        return None
    named = (found.get(name, "") for name in ("since", "reason", "program"))
    return Trouble(signed.get("pid", 0), *named)


def stopped_runner(state: StateDir) -> Identity | None:
    """The runner, if it is suspended (SIGSTOP). It still lives, so no other runner is started, and
    no new job starts; running jobs continue. It must be continued (SIGCONT) or killed."""
    try:
        runner = identity.holder(state.runner_lock)
    except NotYours:
        return None
    return runner if runner is not None and identity.is_stopped(runner) else None


def _is_older(signed: Mapping[str, Any]) -> bool:
    """Whether the runner signed its lock with an older schema than this version's."""
    known = signed.get("schema", SCHEMA_VERSION)
    return isinstance(known, int) and known < SCHEMA_VERSION


def foreground_argv(state: StateDir, work: str) -> list[str]:
    """The command that runs the runner in the foreground, with log and umask set, for a parent that
    supervises it, such as systemd."""
    from jobs.processes import detach

    argv = [*program.lasting_command(__package__), str(state.root), work]
    return detach.foreground_argv(argv, log=state.runner_log)


def start_successor(state: StateDir, work: str) -> None:
    """Start the runner that takes over from this one, and return when it has loaded all it needs.

    Raises `DetachFailed`, in the middle of an installation for example.
    """
    from jobs.processes import detach
    from jobs.upkeep import log_rotation

    log_rotation.rotate_own(state.runner_log)
    detach.spawn(
        [*program.command(__package__), str(state.root), work],
        log=state.runner_log,
        cwd=state.root,
        extra_env={**RUNNER_ENVIRONMENT, detach.LOAD_FIRST_VARIABLE: "1"},
        ready_seconds=LOAD_SECONDS,
    )


def ensure_runner(state: StateDir, work: str) -> None:
    """Wake the runner, or start one that performs jobs with `work` ("module:function").

    Call it after the commit that stored a job. A runner that is about to exit releases its lock and
    then checks the queue once more: if the lock is held here, that runner will see the job. Raises
    `DetachFailed`.
    """
    from jobs.processes import detach, doorbell, ownership
    from jobs.upkeep import log_rotation  # a command that only looks does without them

    doorbell.ring(state.doorbell)  # also to make an outdated runner notice
    if is_runner_alive(state):
        return
    if (refusal := ownership.refusal(state.runner_lock)) is not None:
        raise DetachFailed(str(refusal))
    log_rotation.rotate(state.runner_log)
    detach.spawn(
        [*program.command(__package__), str(state.root), work],
        log=state.runner_log,
        cwd=state.root,
        extra_env=RUNNER_ENVIRONMENT,
    )
