"""The process beside a server: `python -m server_bundle.launch.supervisor`, started by `launch`.

It holds the server's lock, starts the server as its child, reads the server's log and notes what it
tells (`kept`), keeps that log short, starts the server again where that is wished for, and on
SIGTERM drains and ends it. Killed, it takes nothing with it: the server goes on, with its log in
its own hands, and whoever looks finds it by the note.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs import clock
from jobs.processes import detach, identity
from server_bundle.launch import child, process_tree, server_state
from server_bundle.launch.backoff import BackOff
from server_bundle.launch.child import Child
from server_bundle.launch.log_rotation import LogReader
from server_bundle.launch.server_folder import ServerFiles
from server_bundle.launch.server_state import Ended, Restart, ServerState
from server_bundle.launch.signal_wakeup import SignalWakeup
from server_bundle.launch.start_progress import StartUp
from server_bundle.plan import plan_file
from server_bundle.plan.launch_plan import LaunchPlan

TICK_SECONDS = 0.5
FAMILY_SECONDS = 2.0
"""Between two looks at who belongs to the server."""
DRAIN_SECONDS = 60.0
"""For SIGTERM without a wish: from a shutdown, say."""
PREDECESSOR_SECONDS = 10.0
"""One that has noted its server's end may need a moment to leave."""
_OURS = "KTJOB_"
"""Our own settings, the key among them, are none of the server's business."""


class Supervisor:
    """One server through all its runs."""

    def __init__(self, files: ServerFiles, plan: LaunchPlan, restart: str) -> None:
        self._files, self._plan = files, plan
        self._wakes = SignalWakeup()
        self._log = LogReader(files.log, files.last_log)
        self._back_off = BackOff()
        self._start = StartUp()
        self._child: Child | None = None
        self._began = 0.0
        self._ready_began: float | None = None
        self._stop_by: float | None = None
        self._looked = float("-inf")
        self._unwritten = True
        self._was_ready = False
        self._killed = 0
        self._note = ServerState(
            name=files.folder.name,
            profile=plan.profile,
            engine=plan.engine,
            version=plan.version,
            model=plan.served_name,
            url=plan.url,
            context=plan.context,
            planned_pool=plan.planned_pool,
            restart=restart,
            log=str(files.log),
            keeper=identity.mine(),
        )

    def run(self) -> None:
        """Until the server has ended for good."""
        while True:
            self._begin()
            detach.say_ready(self._plan.url)
            ended = self._attend()
            delay = self._delay_after(ended)
            if delay is None:
                self._tell(state=server_state.ENDED, ended=ended, members=(), next_start_at=None)
                return
            if not self._wait_to_restart(ended, delay):
                self._tell(
                    state=server_state.ENDED,
                    ended=dataclasses.replace(ended, asked=True),
                    next_start_at=None,
                )
                return

    # -- one run ----------------------------------------------------------------------------

    def _begin(self) -> None:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(_OURS)
        }
        # As if its virtual environment was activated: kernels that are compiled at the first
        # forward look for `ninja` there (torch.utils.cpp_extension: "Ninja is required").
        programs = os.path.dirname(self._plan.python)
        path = [programs, environment.get("PATH", os.defpath)]
        environment["PATH"] = os.pathsep.join(filter(None, path))
        self._start, self._killed = StartUp(), 0
        self._began, self._ready_began = time.monotonic(), None
        self._child = Child(
            self._plan.command, self._files.folder, {**environment, **self._plan.environment}
        )
        server = identity.of(self._child.pid)
        self._tell(
            state=server_state.STARTING,
            stage=self._start.stage,
            done=None,
            total=None,
            server=server,
            members=(server,) if server else (),
            started_at=clock.now(),
            ready_at=None,
            start_seconds=None,
            figures={},
            warnings=(),
            next_start_at=None,
        )
        self._child.go()
        self._say(f"started process {self._child.pid}: {self._plan.profile}, {self._plan.url}")

    def _attend(self) -> Ended:
        """Everything while the server runs. Returns how it ended, nothing of it left."""
        assert self._child is not None
        status: int | None = None
        while status is None:
            self._wakes.wait(TICK_SECONDS)
            if self._wakes.take_stop():
                self._begin_to_stop()
            status = child.reap().get(self._child.pid)
            self._read_log()
            self._look_at_family()
            if self._stop_by is not None and time.monotonic() >= self._stop_by and status is None:
                self._end_family()
        self._child.ended(status)
        self._end_family()
        self._read_log()
        return self._ended(os.waitstatus_to_exitcode(status))

    def _ended(self, code: int) -> Ended:
        is_asked = self._stop_by is not None
        ended = Ended(
            at=clock.now(),
            code=code if code >= 0 else None,
            signal=signal.Signals(-code).name if code < 0 else None,
            asked=is_asked,
            seconds=round(time.monotonic() - self._began, 1),
            stage=self._start.stage,
            lost=self._start.remaining if is_asked else (),
            killed=self._killed,
        )
        self._say(f"it has ended: {ended.in_words()}" + (", as asked" if is_asked else ""))
        return ended

    def _read_log(self) -> None:
        for line in self._log.lines():
            self._start.read(line)
        for line in self._log.rotate_if_long():
            self._start.read(line)
        start, changes = self._start, dict[str, Any]()
        if start.is_ready and self._ready_began is None:
            self._ready_began = time.monotonic()
            self._was_ready = True
            self._looked = float("-inf")  # all of them are there by now
            spent = round(self._ready_began - self._began, 1)
            changes = {"ready_at": clock.now(), "start_seconds": spent}
            if self._note.state == server_state.STARTING:
                changes["state"] = server_state.READY
        self._tell(
            stage=start.stage,
            done=start.done,
            total=start.total,
            figures=dict(start.figures),
            warnings=tuple(start.warnings),
            **changes,
        )

    # -- its processes ----------------------------------------------------------------------

    def _look_at_family(self) -> None:
        now = time.monotonic()
        pause = TICK_SECONDS if self._ready_began is None else FAMILY_SECONDS
        if now - self._looked >= pause:
            self._looked = now
            self._tell(members=tuple(process_tree.members(self._note.members, os.getpid())))

    def _end_family(self) -> None:
        """Also after a death by itself: what is left holds the GPUs' memory."""
        hit, immortal = process_tree.kill(self._note.members, os.getpid())
        self._killed += hit
        self._tell(members=tuple(immortal))
        if immortal:
            self._say(f"processes {[one.pid for one in immortal]} do not die")

    # -- stopping and starting again --------------------------------------------------------

    def _begin_to_stop(self) -> None:
        """Once or again: the last wish counts."""
        seconds = DRAIN_SECONDS
        with contextlib.suppress(OSError, ValueError):
            seconds = float(self._files.wish.read_text())
            self._files.wish.unlink()
        is_first = self._stop_by is None
        self._stop_by = time.monotonic() + seconds
        self._tell(state=server_state.DRAINING)
        if is_first and self._note.server is not None:
            self._say(f"told to stop: SIGTERM to {self._note.server.pid}, {seconds:g} s to drain")
            # To the server alone: its schedulers would die of it, with all requests.
            process_tree.signal_to(self._note.server, signal.SIGTERM)

    def _delay_after(self, ended: Ended) -> float | None:
        """Seconds until the next start; None: there is none. A server that was never ready has
        something wrong that another start does not mend."""
        is_failure = ended.code != 0 and not ended.asked
        if not is_failure or self._note.restart != server_state.ON_FAILURE or not self._was_ready:
            return None
        healthy = 0.0 if self._ready_began is None else time.monotonic() - self._ready_began
        delay = self._back_off.after(healthy)
        if delay is None:
            self._say(f"{self._back_off.failures} failures in a row: giving up")
        return delay

    def _wait_to_restart(self, ended: Ended, delay: float) -> bool:
        """False when told to stop meanwhile."""
        until = time.monotonic() + delay
        self._say(f"starting it again in {delay:g} s")
        self._tell(state=server_state.WAITING, ended=ended, next_start_at=clock.ago(-delay))
        while (left := until - time.monotonic()) > 0:
            self._wakes.wait(left)
            child.reap()
            if self._wakes.take_stop():
                return False
        restart = Restart(clock.now(), f"{ended.in_words()}, at {ended.stage}")
        self._tell(
            restart_count=self._note.restart_count + 1,
            restarts=(*self._note.restarts, restart)[-server_state.RESTARTS_KEPT :],
        )
        return True

    # -- telling ----------------------------------------------------------------------------

    def _tell(self, **changes: Any) -> None:
        """Write what has changed. A full disk must not end the keeper: it is tried again."""
        note = dataclasses.replace(self._note, **changes)
        if note == self._note and not self._unwritten:
            return
        self._note, self._unwritten = note, True
        with contextlib.suppress(OSError):
            server_state.write(self._files, note)
            self._unwritten = False

    def _say(self, what: str) -> None:
        """A line of ours between the server's."""
        with contextlib.suppress(OSError):
            print(f"{clock.now()} ktserver: {what}", file=sys.stderr, flush=True)


def main(argv: Sequence[str]) -> None:
    """Parse the command line that `launch` writes, and keep."""
    parser = argparse.ArgumentParser(prog="server_bundle.launch.supervisor")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument(
        "--restart", choices=(server_state.NO, server_state.ON_FAILURE), required=True
    )
    asked = parser.parse_args(argv)
    files = ServerFiles(asked.folder)
    lock = identity.hold(files.lock, PREDECESSOR_SECONDS)
    if lock is None:
        raise SystemExit("another keeper holds the lock of this folder")
    child.adopt_orphans()
    files.wish.unlink(missing_ok=True)
    Supervisor(files, plan_file.load(files.plan), asked.restart).run()


if __name__ == "__main__":
    main(sys.argv[1:])
