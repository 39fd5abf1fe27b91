"""The supervisor of a server: `python -m server_bundle.launch.supervisor`, started by `launch`.

It holds the server's lock, starts the server as its child, reads the server's log, records what the
log shows (`kept`), rotates the log, restarts the server if the restart policy says so, and drains
and stops it on SIGTERM. If the supervisor is killed, the server keeps running and writes its log
itself; other processes find it by the record.
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

from jobs import clock, durations
from jobs.processes import detach, identity
from server_bundle.launch import child, process_tree, server_state
from server_bundle.launch.backoff import BackOff
from server_bundle.launch.child import Child
from server_bundle.launch.log_rotation import LogReader
from server_bundle.launch.readiness import WarmUp
from server_bundle.launch.server_folder import ServerFiles
from server_bundle.launch.server_state import Ended, Restart, ServerState
from server_bundle.launch.signal_wakeup import SignalWakeup
from server_bundle.launch.start_progress import StartUp
from server_bundle.plan import plan_file
from server_bundle.plan.launch_plan import LaunchPlan

TICK_SECONDS = 0.5
FAMILY_SECONDS = 2.0
"""Interval for listing the server's processes."""
DRAIN_SECONDS = 60.0
"""Drain time after a SIGTERM without a stop file, for example from a shutdown."""
PREDECESSOR_SECONDS = 10.0
"""How long to wait for an earlier supervisor that has recorded its server's end and exits now."""


class Supervisor:
    """The supervisor of one server, through all its runs."""

    def __init__(
        self, files: ServerFiles, plan: LaunchPlan, restart: str, *, is_warmed: bool = True
    ) -> None:
        self._files, self._plan, self._is_warmed = files, plan, is_warmed
        self._warm_up: WarmUp | None = None
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
            planned_reserved=plan.planned_reserved,
            restart=restart,
            log=str(files.log),
            keeper=identity.mine(),
        )

    def run(self) -> None:
        """Run and restart the server, until it has ended for good."""
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
        self._start, self._killed = StartUp(), 0
        self._began, self._ready_began, self._warm_up = time.monotonic(), None, None
        self._child = Child(
            self._plan.command, self._files.folder, child.environment_for(self._plan)
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
            warm_up="",
            next_start_at=None,
        )
        self._child.go()
        self._say(f"started process {self._child.pid}: {self._plan.profile}, {self._plan.url}")

    def _attend(self) -> Ended:
        """Supervise the server while it runs. Returns how it ended, once no process of it lives."""
        assert self._child is not None
        status: int | None = None
        while status is None:
            self._wakes.wait(TICK_SECONDS)
            if self._wakes.take_stop():
                self._begin_to_stop()
            status = child.reap().get(self._child.pid)
            self._read_log()
            self._look_at_warm_up()
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
        self._say(f"the server ended: {ended.in_words()}" + (", as requested" if is_asked else ""))
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
            self._looked = float("-inf")  # all its processes exist by now: list them
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

    def _look_at_warm_up(self) -> None:
        """After a restart: begin it when the log says READY, and write how it ended."""
        if self._ready_began is None or not self._is_warmed or not self._note.restart_count:
            return
        if self._warm_up is None:
            self._say(f"warming up with {max(1, self._plan.warmup_tokens):,} tokens")
            self._warm_up = WarmUp(self._plan)
            self._tell(warm_up=server_state.WARMING)
        elif (words := self._warm_up.in_words()) and self._note.warm_up == server_state.WARMING:
            self._say(words)
            self._tell(warm_up=words)

    # -- its processes ----------------------------------------------------------------------

    def _look_at_family(self) -> None:
        now = time.monotonic()
        pause = TICK_SECONDS if self._ready_began is None else FAMILY_SECONDS
        if now - self._looked >= pause:
            self._looked = now
            self._tell(members=tuple(process_tree.members(self._note.members, os.getpid())))

    def _end_family(self) -> None:
        """Kill what is left of the server, also after a crash: it would hold the GPUs' memory."""
        hit, immortal = process_tree.kill(self._note.members, os.getpid())
        self._killed += hit
        self._tell(members=tuple(immortal))
        if immortal:
            self._say(f"processes {[one.pid for one in immortal]} did not die after SIGKILL")

    # -- stopping and restarting ------------------------------------------------------------

    def _begin_to_stop(self) -> None:
        """Drain the server. A later request replaces the drain time of an earlier one."""
        seconds = DRAIN_SECONDS
        with contextlib.suppress(OSError, ValueError):
            seconds = float(self._files.wish.read_text())
            self._files.wish.unlink()
        is_first = self._stop_by is None
        self._stop_by = time.monotonic() + seconds
        self._tell(state=server_state.DRAINING)
        if is_first and self._note.server is not None:
            pid = self._note.server.pid
            self._say(
                f"stop requested: SIGTERM to process {pid}, {durations.exact(seconds)} s to drain"
            )
            # To the main process alone: SIGTERM would end its schedulers with all requests.
            process_tree.signal_to(self._note.server, signal.SIGTERM)

    def _delay_after(self, ended: Ended) -> float | None:
        """Seconds until the next start; None when there is none. A server that was never ready is
        not restarted: another start would fail in the same way."""
        is_failure = ended.code != 0 and not ended.asked
        if not is_failure or self._note.restart != server_state.ON_FAILURE or not self._was_ready:
            return None
        healthy = 0.0 if self._ready_began is None else time.monotonic() - self._ready_began
        delay = self._back_off.after(healthy)
        if delay is None:
            self._say(f"{self._back_off.failures} failures in a row: not restarting any more")
        return delay

    def _wait_to_restart(self, ended: Ended, delay: float) -> bool:
        """Wait before a restart. False when a stop was requested meanwhile."""
        until = time.monotonic() + delay
        self._say(f"restarting the server in {durations.exact(delay)} s")
        self._tell(state=server_state.WAITING, ended=ended, next_start_at=clock.ago(-delay))
        while (left := until - time.monotonic()) > 0:
            self._wakes.wait(left)
            child.reap()
            if self._wakes.take_stop():
                return False
        restart = Restart(clock.now(), f"{ended.in_words()}, in stage {ended.stage!r}")
        self._tell(
            restart_count=self._note.restart_count + 1,
            restarts=(*self._note.restarts, restart)[-server_state.RESTARTS_KEPT :],
        )
        return True

    # -- the record and the log -------------------------------------------------------------

    def _tell(self, **changes: Any) -> None:
        """Write the record if it has changed. A full disk must not end the supervisor: the next
        call tries again."""
        note = dataclasses.replace(self._note, **changes)
        if note == self._note and not self._unwritten:
            return
        self._note, self._unwritten = note, True
        with contextlib.suppress(OSError):
            server_state.write(self._files, note)
            self._unwritten = False

    def _say(self, what: str) -> None:
        """Write a line of the supervisor into the server's log."""
        with contextlib.suppress(OSError):
            print(f"{clock.now()} ktserver: {what}", file=sys.stderr, flush=True)


def main(argv: Sequence[str]) -> None:
    """Parse the command line that `launch` writes, and supervise the server."""
    parser = argparse.ArgumentParser(prog="server_bundle.launch.supervisor")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument(
        "--restart", choices=(server_state.NO, server_state.ON_FAILURE), required=True
    )
    parser.add_argument("--no-warm-up", action="store_true")
    asked = parser.parse_args(argv)
    files = ServerFiles(asked.folder)
    lock = identity.hold(files.lock, PREDECESSOR_SECONDS)
    if lock is None:
        raise SystemExit(f"another supervisor holds the lock {files.lock}")
    child.adopt_orphans()
    files.wish.unlink(missing_ok=True)
    plan = plan_file.load(files.plan)
    Supervisor(files, plan, asked.restart, is_warmed=not asked.no_warm_up).run()


if __name__ == "__main__":
    main(sys.argv[1:])
