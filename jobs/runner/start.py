"""Making sure that a runner lives."""

from __future__ import annotations

import sys

from jobs.model import Identity
from jobs.processes import detach, doorbell, identity
from jobs.store.database import SCHEMA_VERSION
from jobs.store.state_dir import StateDir
from jobs.upkeep import log_rotation

RUNNER_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
"""Workers hand a document of megabytes through and then wait for half an hour: have glibc give
such memory back (mallopt(3)). Saves 7 MB for each request; other C libraries ignore it."""


def is_runner_alive(state: StateDir) -> bool:
    """Whether a runner serves this directory. One of an older version, which does not know the
    schema that the database has by now, only has yet to notice that it must leave."""
    return identity.is_held(state.runner_lock) and not is_runner_outdated(state)


def stopped_runner(state: StateDir) -> Identity | None:
    """The runner, if it was stopped (SIGSTOP): it lives, so none is started beside it, and it
    starts no jobs. Running ones go on. Whoever stopped it has to let it go on, or to kill it."""
    runner = identity.holder(state.runner_lock)
    return runner if runner is not None and identity.is_stopped(runner) else None


def is_runner_outdated(state: StateDir) -> bool:
    """Whether the runner that holds the lock signed it with an older schema than ours."""
    known = identity.signature(state.runner_lock).get("schema", SCHEMA_VERSION)
    return isinstance(known, int) and known < SCHEMA_VERSION


def runner_argv(state: StateDir, work: str) -> list[str]:
    """The command that is the runner, in the foreground."""
    return [sys.executable, "-m", "jobs.runner", str(state.root), work]


def foreground_argv(state: StateDir, work: str) -> list[str]:
    """The same with its log and its umask set up, for a parent that stays, such as systemd."""
    return detach.foreground_argv(runner_argv(state, work), log=state.runner_log)


def ensure_runner(state: StateDir, work: str) -> None:
    """Wake the runner, or start one that performs jobs with `work` ("module:function").

    Call it after the commit that made work. A runner that is about to leave releases its lock
    and then looks at the queue once more, so whoever finds the lock held has been seen. Raises
    `DetachFailed`.
    """
    doorbell.ring(state.doorbell)  # an outdated one is to notice
    if is_runner_alive(state):
        return
    log_rotation.rotate(state.runner_log)
    detach.spawn(
        runner_argv(state, work),
        log=state.runner_log,
        cwd=state.root,
        extra_env=RUNNER_ENVIRONMENT,
    )
