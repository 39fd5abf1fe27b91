"""kill -9, or another signal, at a chosen point, injected by environment: no hook in the product.

KTJOB_KILL is ROLE|POINT|MARKER, or ROLE|POINT|MARKER|SIGNAL. ROLE is "submit" (any command),
"runner" or "worker". POINT is "before NAME" or "after NAME", NAME being in `NAMES`, for its first
call in that role, or for the first with a certain argument: "after phase decode". Or it is a number
N: before the Nth SQL statement that the process writes, commits included. Once, which MARKER (a
path) remembers for all processes together.

KTJOB_CONSTANTS is MODULE.NAME=NUMBER,...: set in the runner before it forks its first worker.

KTJOB_STUCK is a path: a worker whose heartbeat finds that file computes in C from then on, with
Python's lock, so that nothing of it runs any more, not even a signal handler. Its pid is in the
file then.

KTJOB_PEAKS is a folder: each worker leaves a copy of its /proc/self/status there, named by its pid,
when its job has ended.
"""

import ctypes
import importlib
import os
import shutil
import signal
import sys

NAMES = {
    "submit": ("jobs.store.store", "Store.submit_all"),
    "ensure_runner": ("jobs.runner.start", "ensure_runner"),
    "lock": ("jobs.processes.identity", "hold"),
    "sign": ("jobs.processes.identity", "HeldLock.sign"),
    "release": ("jobs.processes.identity", "HeldLock.release"),
    "ready": ("jobs.processes.detach", "say_ready"),
    "recover": ("jobs.worker.recovery", "recover"),
    "fork": ("jobs.processes.detach", "fork_child"),
    "checkpoint": ("jobs.upkeep.garbage", "checkpoint"),
    "claim": ("jobs.store.store", "Store.claim"),
    "phase": ("jobs.store.store", "Store.enter_phase"),
    "text": ("jobs.store.store", "Store.append"),
    "finish": ("jobs.store.store", "Store.finish"),
    "requeue": ("jobs.store.store", "Store.requeue"),
}
STATEMENTS = (("jobs.store.database", "Database._run"), ("jobs.store.database", "Database._commit"))
state = {"role": "runner" if "jobs.runner" in sys.orig_argv else "submit"}


def wrap(module, path, around):  # type: ignore[no-untyped-def]
    """Put `around(original)` in the place of a function or method."""
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for one in owners:
        owner = getattr(owner, one)
    setattr(owner, name, around(getattr(owner, name)))


class Shot:
    """The one signal that a process sends to itself."""

    def __init__(self, role: str, point: str, marker: str, name: str = "SIGKILL") -> None:
        self.role, self.marker, self.signal = role, marker, signal.Signals[name]
        when, _, what = point.partition(" ")
        self.left = int(when) if when.isdigit() else 1
        self.when = "before" if when.isdigit() else when
        name, _, self.argument = what.partition(" ")
        for module, path in STATEMENTS if when.isdigit() else (NAMES[name],):
            wrap(module, path, self.around)

    def around(self, original):  # type: ignore[no-untyped-def]
        def run(*args, **values):  # type: ignore[no-untyped-def]
            is_meant = not self.argument or self.argument in map(str, args)
            if is_meant and self.when == "before":
                self.fire()
            result = original(*args, **values)
            if is_meant and self.when == "after":
                self.fire()
            return result

        return run

    def fire(self) -> None:
        if state["role"] != self.role:
            return
        self.left -= 1
        if self.left == 0:
            try:
                os.close(os.open(self.marker, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return
            os.kill(os.getpid(), self.signal)


def setting(constants: str):  # type: ignore[no-untyped-def]
    """A wrapper for the fork that sets constants in what the runner has imported by then."""
    wanted = [one.split("=") for one in constants.split(",")]

    def around(fork):  # type: ignore[no-untyped-def]
        def run(child):  # type: ignore[no-untyped-def]
            for path, number in wanted:
                name, _, constant = path.rpartition(".")
                module = sys.modules[name]  # a KeyError here is a test that names no module
                old = getattr(module, constant)
                setattr(module, constant, type(old)(float(number)))
            return fork(child)

        return run

    return around


def noting(folder: str):  # type: ignore[no-untyped-def]
    """A wrapper for the end of a job that notes what the process has used."""

    def around(finish):  # type: ignore[no-untyped-def]
        def run(*args, **values):  # type: ignore[no-untyped-def]
            result = finish(*args, **values)
            shutil.copy("/proc/self/status", f"{folder}/{os.getpid()}")
            return result

        return run

    return around


def sticking(marker: str):  # type: ignore[no-untyped-def]
    """A wrapper for the heartbeat that gets stuck once the file is there."""

    def around(heartbeat):  # type: ignore[no-untyped-def]
        def run(self):  # type: ignore[no-untyped-def]
            if os.path.exists(marker):
                self.flush()
                with open(marker, "w") as file:  # noqa: PTH123
                    file.write(str(os.getpid()))
                while True:
                    ctypes.PyDLL(None).sleep(3600)
            return heartbeat(self)

        return run

    return around


def become_worker() -> None:
    if state["role"] == "runner":
        state["role"] = "worker"


if not {"jobs.processes.detach", "jobs.detach"} & {*sys.orig_argv}:
    os.register_at_fork(after_in_child=become_worker)
    if os.environ.get("KTJOB_CONSTANTS") and state["role"] == "runner":
        wrap("jobs.processes.detach", "fork_child", setting(os.environ["KTJOB_CONSTANTS"]))
    if os.environ.get("KTJOB_STUCK") and state["role"] == "runner":
        wrap("jobs.worker.attempt", "RunningAttempt.heartbeat", sticking(os.environ["KTJOB_STUCK"]))
    if os.environ.get("KTJOB_PEAKS") and state["role"] == "runner":
        wrap(*NAMES["finish"], noting(os.environ["KTJOB_PEAKS"]))
    if os.environ.get("KTJOB_KILL"):
        Shot(*os.environ["KTJOB_KILL"].split("|"))
