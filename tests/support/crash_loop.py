"""One state directory under fire: `main` with the arguments STATE KILLS SEED.

Forks submitters and runners from itself, warm, so that a process costs milliseconds; what they do
is the product's own code, but for `detach.spawn`, which here forks where it would exec. Each
process draws at its birth whether it dies, at which of its moments, and whether before it, after it
or somewhere in it. Goes on until KILLS processes have died so, then lets every job end.

Writes STATE.kills (a line for each kill, right before it), and what `crash_submits` says.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import crash_submits

from jobs.errors import DetachFailed
from jobs.model import Status
from jobs.processes import detach, identity, signals
from jobs.runner import admission, loop, notifiers, runner_lock, start
from jobs.store import outbox
from jobs.store.database import Database
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker import conductor, recovery

WORK = "toy_work:perform"
MOMENTS = {"submit": 14, "runner": 50, "worker": 50, "teller": 8}
"""About how many of `_MOMENTS` a process of each role passes in its life."""
DOOMED = {"submit": 0.4, "runner": 0.9, "worker": 0.5, "teller": 0.3}
IN_FLIGHT = 8
LONGEST_SECONDS = 0.004
"""How long after its beginning a process dies in the middle of a moment: one commit's time."""
_MOMENTS: tuple[tuple[Any, str], ...] = (
    (Database, "_run"),
    (Database, "_commit"),
    (identity, "hold"),
    (identity.HeldLock, "sign"),
    (identity.HeldLock, "release"),
    (detach, "fork_child"),
    (detach, "say_ready"),
    (recovery, "recover"),
    (admission, "choose"),
    (start, "ensure_runner"),
)


class Fate:
    """When this process dies. A fork gets one of its own."""

    def __init__(self, kills: Path, quota: int, seed: int) -> None:
        self._kills, self._quota = kills, quota
        self._dice = random.Random(seed)
        self._role, self._left = "driver", 0
        self._seed_of_child = 0
        os.register_at_fork(before=self._conceive, after_in_child=self._be_born)

    def is_over(self) -> bool:
        """Whether enough have died."""
        return self._kills.read_bytes().count(b"\n") >= self._quota

    def become(self, role: str) -> None:
        self._role = role
        is_doomed = self._dice.random() < DOOMED[role]
        self._left = self._dice.randint(1, MOMENTS[role]) if is_doomed else 0

    def _conceive(self) -> None:
        self._seed_of_child = self._dice.getrandbits(32)

    def _be_born(self) -> None:
        self._dice = random.Random(self._seed_of_child)
        self.become("worker" if self._role == "runner" else "submit")

    def around(self, owner: Any, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def moment(*args: Any, **values: Any) -> Any:
            self._left -= 1
            if self._left != 0 or self.is_over():
                return original(*args, **values)
            when = self._dice.choice(["before", "in", "after"])
            if when == "before":
                self._die(f"before {name}")
            if when == "in":
                seconds = self._dice.random() * LONGEST_SECONDS
                threading.Timer(seconds, self._die, [f"in or soon after {name}"]).start()
            result = original(*args, **values)
            if when == "after":
                self._die(f"after {name}")
            return result

        setattr(owner, name, moment)

    def _die(self, where: str) -> None:
        fd = os.open(self._kills, os.O_WRONLY | os.O_APPEND)
        os.write(fd, f"{self._role} {where}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)


def _has_open_store(root: Path) -> bool:
    database = str(StateDir(root).database)
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that lists them
            if os.readlink(f"/proc/self/fd/{fd}") == database:
                return True
    return False


def _spawning(fate: Fate) -> Callable[..., str]:
    def spawn(argv: list[str], *, log: Path, **_: object) -> str:
        """`detach.spawn` with a warm interpreter, and so only where no connection is open: SQLite
        keeps count of a process's locks, and a fork believes that count."""
        if _has_open_store(Path(argv[3])):
            raise DetachFailed("a conductor cannot fork; somebody else starts the runner")
        ready, said = os.pipe()
        child = os.fork()
        if child == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            os.dup2(said, 3)
            os.closerange(4, 256)
            os.environ[detach.READY_FD_VARIABLE] = "3"
            fate.become("runner")
            signals.leave_the_terminal()
            detach.redirect_streams(log)
            try:
                loop.Runner(StateDir(Path(argv[3])), argv[4]).run()
            finally:
                os._exit(0)
        os.close(said)
        os.waitpid(child, 0)
        with os.fdopen(ready) as pipe:
            line = pipe.readline()
        if not line:
            raise DetachFailed("the runner was killed before it was ready")
        return line

    return spawn


def _submit(state: StateDir, seed: int) -> None:
    """Fork one submitter. It gives its id out as soon as it has it."""
    if os.fork():
        return
    try:
        crash_submits.Submitter(state, random.Random(seed)).act()
        start.ensure_runner(state, WORK)
    except DetachFailed:
        pass  # the command would say so; the job is stored
    finally:
        os._exit(0)


def _serve(state: StateDir) -> int:
    """What every `ktjob` command does first. Returns how much is still to be done: jobs that have
    not ended, ends that were not told."""
    with Store.open(state) as store:
        recovery.recover(store, state)
        queued, running = store.in_status(Status.QUEUED), store.in_status(Status.RUNNING)
        owes = store.owes_tellings()
    if (queued or owes) and not start.is_runner_alive(state):
        with contextlib.suppress(DetachFailed):
            start.ensure_runner(state, WORK)
    return len(queued) + len(running) + owes


def _quicken() -> None:
    """Pauses that protect a machine from a hot loop, and the waits for what may come."""
    loop.REST_SECONDS, loop.TICK_SECONDS = 0.02, 0.1
    loop.IDLE_SECONDS, runner_lock.TAKEOVER_SECONDS = 0.01, 0.5
    conductor.LOOK_SECONDS, conductor.WAKE_SECONDS = 0.02, 0.2
    notifiers.REST_SECONDS, outbox.MOST_SECONDS = 0.02, 0.5
    outbox.FIRST_PAUSE_SECONDS, outbox.MOST_TRIES = 1e-6, 12


def _christen_tellers(fate: Fate) -> None:
    """What the runner forked is a worker, until it turns out to be a messenger."""
    deliver = notifiers.deliver

    def be_one(*args: Any) -> None:
        fate.become("teller")
        deliver(*args)

    notifiers.deliver = be_one


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass


def main() -> None:
    state, quota, seed = StateDir(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
    for kind in ("kills", *crash_submits.PROMISES):
        Path(f"{state.root}.{kind}").touch()
    _quicken()
    fate, dice = Fate(Path(f"{state.root}.kills"), quota, seed), random.Random(seed)
    for owner, name in _MOMENTS:
        fate.around(owner, name)
    detach.spawn = _spawning(fate)
    _christen_tellers(fate)
    drained = False
    while not fate.is_over():
        in_flight = _serve(state)
        drained = drained or dice.random() < 0.02  # now and then all end, and the runner leaves
        if in_flight < IN_FLIGHT and not drained:
            _submit(state, dice.getrandbits(32))
        drained = drained and in_flight > 0
        _reap()
        time.sleep(0.005)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, 0):  # the submitters; then nothing new comes
            pass
    while _serve(state):
        time.sleep(0.02)
