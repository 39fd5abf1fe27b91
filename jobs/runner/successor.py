"""Starting the next runner while the program's files may be away: `pip install -U`, `venv --clear`,
a removed environment. Whoever has to start it stays and tries again."""

from __future__ import annotations

import os
import time

from jobs import program
from jobs.errors import DetachFailed
from jobs.runner import start
from jobs.runner.runner_lock import RunnerLock, is_needed, log
from jobs.store.state_dir import StateDir

FIRST_REST_SECONDS = 2.0
"""Between the first two tries; then twice as long each time."""
LONGEST_REST_SECONDS = 30.0
PASS_ON_SECONDS = 30.0
"""How long the lock stays free for a successor that has said that it is ready."""
PATIENCE_SECONDS = 86_400.0
"""How long a worker that has ended stays to start a runner: as long as jobs wait for a server."""


class Rest:
    """When to try again: after growing rests, and as soon as files that were away are back."""

    def __init__(self) -> None:
        self._seconds = FIRST_REST_SECONDS
        self._from = self._until = -FIRST_REST_SECONDS
        self._was_there = True

    def is_over(self, is_asked: bool = False) -> bool:
        """Whether to try now. If somebody asks for it, the shortest rest is enough."""
        is_there = program.missing() is None
        is_back = is_there and not self._was_there
        self._was_there = is_there
        if is_back:
            self._seconds = FIRST_REST_SECONDS
        now = time.monotonic()
        may_be_asked = is_asked and now >= self._from + FIRST_REST_SECONDS
        return is_back or may_be_asked or now >= self._until

    def begin(self) -> None:
        """After a try in vain."""
        self._from = time.monotonic()
        self._until = self._from + self._seconds
        self._seconds = min(2 * self._seconds, LONGEST_REST_SECONDS)


class Successor:
    """The tries of one runner to start the runner that takes its place."""

    def __init__(self, state: StateDir, work: str, tenure: RunnerLock) -> None:
        self._state = state
        self._work = work
        self._tenure = tenure
        self._rest = Rest()
        self._reason = ""

    def has_taken_over(self, is_rung: bool) -> bool:
        """Start it if it is time to, and pass the lock on; or pass the lock to one that another
        command has started: `is_rung` says that it may be there. False while none takes it."""
        if is_rung and self.is_in_trouble and self._tenure.pass_on():
            return True
        if not self._rest.is_over(is_rung):
            return False
        try:
            start.start_successor(self._state, self._work)
        except DetachFailed as error:
            self.report(error.reason)
            return False
        log(f"runner {os.getpid()} exits: a new version of ktjob was installed")
        return self._tenure.pass_on(PASS_ON_SECONDS)

    def follow(self, moved: StateDir) -> None:
        """The state directory was renamed."""
        self._state = moved

    @property
    def is_in_trouble(self) -> bool:
        """Whether the last try failed."""
        return bool(self._reason)

    def report(self, reason: str) -> None:
        """Make known that no job can be started now, and why."""
        self._rest.begin()
        if reason != self._reason:  # log it once, not at each try
            log(f"runner {os.getpid()} cannot start jobs, retrying: {reason}")
            self._tenure.report_trouble(reason)
        self._reason = reason

    def is_over(self) -> None:
        """The files are again what they were: this runner continues."""
        if self.is_in_trouble:
            log(f"runner {os.getpid()} continues: its program files are back")
            self._tenure.report_trouble("")
        self._reason, self._rest = "", Rest()


def ensure_patiently(state: StateDir, work: str) -> None:
    """For a worker that has ended: start a runner if jobs wait and none is alive, and retry for a
    day while that fails. A live runner in trouble does so itself."""
    rest, reason = Rest(), ""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        if rest.is_over():
            if start.runner_trouble(state) is not None or not is_needed(state):
                return
            try:
                start.ensure_runner(state, work)
                return
            except DetachFailed as error:
                rest.begin()
                if error.reason != reason:
                    log(f"process {os.getpid()} cannot start a runner, retrying: {error.reason}")
                reason = error.reason
        time.sleep(FIRST_REST_SECONDS / 2)  # nothing tells of files that come back
