"""Ensuring that a runner lives."""

from __future__ import annotations

from jobs import program
from jobs.model import Identity
from jobs.processes import identity
from jobs.store.database import SCHEMA_VERSION
from jobs.store.state_dir import StateDir

RUNNER_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
"""Workers send a document of megabytes and then wait for half an hour. These settings make glibc
return such memory to the kernel (mallopt(3)), which saves 7 MB for each request. Other C libraries
ignore them."""


def is_runner_alive(state: StateDir) -> bool:
    """Whether a runner serves this directory. A runner with an older schema than the database does
    not count: it will notice that and exit."""
    return identity.is_held(state.runner_lock) and not is_runner_outdated(state)


def stopped_runner(state: StateDir) -> Identity | None:
    """The runner, if it is suspended (SIGSTOP). It still lives, so no other runner is started, and
    no new job starts; running jobs continue. It must be continued (SIGCONT) or killed."""
    runner = identity.holder(state.runner_lock)
    return runner if runner is not None and identity.is_stopped(runner) else None


def is_runner_outdated(state: StateDir) -> bool:
    """Whether the runner that holds the lock signed it with an older schema than this version's."""
    known = identity.signature(state.runner_lock).get("schema", SCHEMA_VERSION)
    return isinstance(known, int) and known < SCHEMA_VERSION


def foreground_argv(state: StateDir, work: str) -> list[str]:
    """The command that runs the runner in the foreground, with log and umask set, for a parent that
    supervises it, such as systemd."""
    from jobs.processes import detach

    argv = [*program.lasting_command(__package__), str(state.root), work]
    return detach.foreground_argv(argv, log=state.runner_log)


def ensure_runner(state: StateDir, work: str) -> None:
    """Wake the runner, or start one that performs jobs with `work` ("module:function").

    Call it after the commit that stored a job. A runner that is about to exit releases its lock and
    then checks the queue once more: if the lock is held here, that runner will see the job. Raises
    `DetachFailed`.
    """
    from jobs.processes import detach, doorbell
    from jobs.upkeep import log_rotation  # a command that only looks does without them

    doorbell.ring(state.doorbell)  # also to make an outdated runner notice
    if is_runner_alive(state):
        return
    log_rotation.rotate(state.runner_log)
    detach.spawn(
        [*program.command(__package__), str(state.root), work],
        log=state.runner_log,
        cwd=state.root,
        extra_env=RUNNER_ENVIRONMENT,
    )
