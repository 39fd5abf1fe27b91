"""The loop that starts workers. One runs per state directory, ensured by a lock; it runs detached.

It imports what workers need once, then forks: a running request costs a few private megabytes
instead of an interpreter. It has no connection, thread or event loop when it forks. It may die at
any moment: its workers continue, and the next runner finds them by their locks.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib  # noqa: F401 - with secrets: what storing a job's parts needs, before the fork
import importlib
import os
import secrets  # noqa: F401
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from jobs import program
from jobs.errors import DetachFailed, StoreTooNew, StoreUnusable
from jobs.model import Job, Status
from jobs.processes import detach, doorbell, signals
from jobs.processes.code_version import LoadedCode
from jobs.processes.postmortem import Postmortem
from jobs.runner import admission, notifiers, start, trouble
from jobs.runner.runner_lock import RunnerLock, log
from jobs.runner.shared_workers import SharedWorkers
from jobs.runner.successor import Successor, ensure_patiently
from jobs.store.outbox import Notification
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.system import logout as logout  # used to start the next runner, when files may be gone
from jobs.upkeep import log_rotation
from jobs.worker import process, recovery
from jobs.worker.attempt import Perform
from jobs.worker.overdue import OverdueCancels
from jobs.worker.shared import SharedWorker

Tidy = Callable[[StateDir], None]
"""The work's clean-up once no job is left; raises `StoreUnusable` and `OSError`."""

IDLE_SECONDS = 60.0
"""How long an idle runner stays, so that the next job starts without delay."""
TICK_SECONDS = 2.0
"""How often it looks for dead workers of an earlier runner: they are not its children, so it cannot
wait for them. Its own children, new jobs and signals wake it immediately."""
REST_SECONDS = 5.0
"""Pause before a job is started again after its worker ended with an error, such as a full disk."""
DYING_SECONDS = 1.0
"""How long to wait for the end of a killed worker: the kernel frees its memory first."""


class Runner:
    """One runner: which children it forked for which jobs."""

    def __init__(self, state: StateDir, work: str) -> None:
        self._state = state
        self._work = work
        self._perform: Perform | None = None
        self._tell: notifiers.Notify | None = None
        self._tidy: Tidy = lambda state: None
        self._may_share: Callable[[str], bool] = lambda spec: False
        self._begins: admission.Begins = lambda spec, document: document
        self._shared = SharedWorkers(self._fork_shared)
        self._is_tidy = False
        self._tellers = notifiers.Notifiers()
        self._code: LoadedCode | None = None
        """None until the work could be imported."""
        self._is_outdated = False
        """Whether the program's files are no longer those in memory: others may start no job."""
        self._is_store_newer = False
        self._is_rung = False
        self._children: dict[int, str] = {}
        self._postmortem = Postmortem()
        self._overdue = OverdueCancels()
        self._rest_until: dict[str, float] = {}
        self._leaving, self._trouble = False, ""
        self._busy_at = time.monotonic()
        self._bell = doorbell.listen(state.doorbell)
        self._unlockable: set[str] = set()
        self._wakeup, self._wakeup_write = os.pipe()
        self._tenure = RunnerLock(state)
        self._tenure.on_retaken = self._listen_again
        self._tenure.on_moved = self._follow
        self._successor = Successor(state, work, self._tenure)

    def run(self) -> None:
        """Serve the queue until idle for `IDLE_SECONDS` or stopped by a signal."""
        is_successor = detach.is_to_load_first()
        if is_successor:
            self._import_work()
        if not self._tenure.acquire(is_successor):
            return
        self._listen_to_signals()
        if not is_successor:
            self._import_or_report()
        while not self._leaving and self._tenure.keep():
            self._reap()
            if self._tenure.is_away:
                self._sleep()
                continue
            if self._schedule_once():
                self._busy_at, self._is_tidy = time.monotonic(), False
            else:
                self._tidy_up()  # first: one that was stopped meanwhile may leave at this very look
                if self._is_idle() and self._tenure.leave_unless_needed():
                    break
            if self._is_done_here():
                break
            self._sleep()
        log(f"runner {os.getpid()} exits; {len(self._children)} workers keep running")

    def _tidy_up(self) -> None:
        """Clean up, once after each time there was work."""
        if not self._is_tidy:
            with contextlib.suppress(StoreUnusable, OSError):  # tried again after the next job
                self._tidy(self._state)
            self._is_tidy = True

    def _is_done_here(self) -> bool:
        """Whether a runner of newer code takes over."""
        if self._is_outdated and self._has_changed():
            return self._successor.has_taken_over(self._is_rung)
        if self._is_store_newer:  # a newer version in another place starts its own runner
            return True
        if self._is_outdated:
            self._is_outdated = False
            self._successor.is_over()
        return False

    def _import_or_report(self) -> None:
        """The work; if its files are missing or incomplete, this runner stays until another one can
        be started: without it, nobody would."""
        gc.disable()  # a tenth of the time of the imports, and nothing of them is garbage
        try:
            self._import_work()
        except Exception as error:  # a file that is half written may raise anything
            self._is_outdated = True
            self._successor.report(program.incomplete(error))
        finally:
            gc.enable()

    def _import_work(self) -> None:
        module, _, name = self._work.partition(":")
        loaded = importlib.import_module(module)
        self._perform = getattr(loaded, name)
        # Beside it, the work may have `tell` (delivers notifications about ended jobs), `tidy` (its
        # clean-up), `may_share` (whether a job of this spec may share a worker), `begins`, and
        # `prepare`, which builds what all workers need without threads or connections.
        self._tell = getattr(loaded, "tell", None)
        self._tidy = getattr(loaded, "tidy", self._tidy)
        self._may_share = getattr(loaded, "may_share", self._may_share)
        self._begins = getattr(loaded, "begins", self._begins)
        getattr(loaded, "prepare", lambda: None)()
        # Exclude imported objects from garbage collection: marking them would make each child copy
        # their memory pages.
        gc.collect()
        gc.freeze()
        self._code = LoadedCode()

    def _listen_to_signals(self) -> None:
        os.set_blocking(self._wakeup, False)
        os.set_blocking(self._wakeup_write, False)
        signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in signals.STOPPING:
            signal.signal(number, self._leave)
        signals.explain_on_request()

    def _listen_again(self) -> None:
        """The pipe and the log are in the folder, which may be another one now."""
        with contextlib.suppress(OSError):  # of a disk that is gone
            os.close(self._bell)
        self._bell = doorbell.listen(self._state.doorbell)
        with contextlib.suppress(OSError):
            detach.redirect_streams(self._state.runner_log)

    def _follow(self, moved: StateDir) -> None:
        self._state = moved
        self._successor.follow(moved)

    def _leave(self, *_: object) -> None:
        self._leaving = True

    def _reap(self) -> None:
        while self._children or self._tellers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if self._tellers.ended(pid):
                continue
            self._postmortem.died(pid, status)
            code = os.waitstatus_to_exitcode(status)
            known = self._children.pop(pid, "?")
            ids = sorted(self._shared.ended(pid)) if pid in self._shared else [known]
            if code != 0:  # it may have failed before its claim: avoid a hot loop of forks
                rested = time.monotonic() + REST_SECONDS
                self._rest_until.update(dict.fromkeys(ids, rested))
            log(f"worker {pid} of {', '.join(ids) or 'shared jobs'} ended ({code})")

    def _how_it_died(self, pid: int) -> str | None:
        """The verdict on a dead child. A dying worker's lock is free an instant before the child
        can be waited for, so this waits a little."""
        give_up = time.monotonic() + DYING_SECONDS
        while pid in self._children and time.monotonic() < give_up:
            self._reap()
            time.sleep(0.01)  # the SIGCHLD may have been another child's
        return self._postmortem.verdict(pid)

    def _schedule_once(self) -> bool:
        """Check the queue once. True while there is work, or the store cannot be read."""
        try:
            busy = self._start_admitted()
        except StoreTooNew as error:
            log(str(error))
            self._is_outdated = self._is_store_newer = True
            return True
        except ImportError as error:  # of what is imported late, in the middle of an installation
            self._is_outdated = True
            self._log_once(program.incomplete(error))
            return True
        except Exception as error:  # such as: no file descriptor or no memory is left
            if (told := trouble.words(error, self._state)) is None:
                raise
            self._log_once(told)
            return True
        self._trouble = ""
        return busy

    def _log_once(self, trouble: str) -> None:
        """Not every two seconds."""
        if trouble != self._trouble:
            log(f"retrying every {TICK_SECONDS:g} s: {trouble}")
        self._trouble = trouble

    def _start_admitted(self) -> bool:
        """Recover, admit and fork. True while anything is queued or running."""
        if not self._state.has_database():
            return False
        with Store.open_existing(self._state) as store:
            self._overdue.look(store, recovery.recover(store, self._state, self._how_it_died))
            store.renew_delays()
            # Keep this order: a job that a worker of an earlier runner claims in between is then in
            # both lists. In neither list, it would let one job too many start.
            queued = store.next_in_line()
            is_any_queued = bool(queued) or store.has(Status.QUEUED)
            running = store.in_status(Status.RUNNING)
            capacities, warmth = store.capacities(), store.warmth()
            due = store.due_tellings(notifiers.MOST_AT_ONCE) if self._tell else []
            is_owing = store.owes_tellings() and self._tell is not None
        self._shared.hear()
        forked = {*self._children.values(), *self._shared.jobs}
        starting_now = [job for job in queued if job.id in forked]
        now = time.monotonic()
        rested = [job for job in queued if self._rest_until.get(job.id, 0.0) <= now]
        waiting = [job for job in rested if job.id not in forked and self._is_lockable(job)]
        running += starting_now
        chosen = admission.choose(waiting, running, capacities, warmth, self._begins)
        self._fork_workers(chosen)
        self._send_notifications(due)
        is_at_work = bool(self._shared.jobs) or any(
            pid not in self._shared for pid in self._children
        )
        return bool(is_any_queued or running or is_at_work or is_owing or self._tellers)

    def _is_lockable(self, job: Job) -> bool:
        """False for a job whose lock file belongs to another user: it waits, and the others go on.
        `ktjob status` names it and the fix."""
        refusal = self._state.lock_refusal(job.id)
        if refusal is not None and job.id not in self._unlockable:
            log(f"job {job.id} waits: {refusal}")
            self._unlockable.add(job.id)
        return refusal is None

    def _send_notifications(self, due: Sequence[Notification]) -> None:
        if due and self._has_changed():
            self._is_outdated = True
        if not self._is_outdated:
            self._tellers.send(due, self._run_notifier)

    def _fork_workers(self, chosen: Sequence[Job]) -> None:
        if chosen and self._has_changed():
            self._is_outdated = True
            return
        for job in chosen:
            if self._may_share(job.spec):
                self._shared.give(job.id)
            else:
                self._fork_worker(job)

    def _fork_shared(self, line: socket.socket) -> int:
        pid = detach.fork_child(lambda: self._run_shared(line))
        log_rotation.rotate_own(self._state.runner_log)
        self._children[pid] = ""
        self._postmortem.born(pid)
        return pid

    def _fork_worker(self, job: Job) -> None:
        try:
            pid = detach.fork_child(lambda: self._run_worker(job.id))
        except OSError as error:
            log(f"cannot fork a worker for job {job.id}, retrying: {error}")
            return
        log_rotation.rotate_own(self._state.runner_log)
        self._children[pid] = job.id
        self._postmortem.born(pid)
        log(f"worker {pid} takes {job.id}")

    def _run_notifier(self, telling: Notification) -> None:
        """In the child: deliver one notification."""
        assert self._tell is not None
        self._drop_inherited(telling.job_id)
        notifiers.deliver(self._state, telling, self._tell)

    def _run_worker(self, job_id: str) -> None:
        """In the child: run one job."""
        assert self._perform is not None
        try:
            self._drop_inherited(job_id)
            if process.run_job(self._state, job_id, self._perform, self._wake):
                for number in signals.STOPPING:
                    signal.signal(number, signal.SIG_DFL)
                ensure_patiently(self._state, self._work)
        except StoreUnusable:
            raise  # the worker has said so
        except Exception as error:
            trouble.report(error, self._state, job_id)
            raise

    def _run_shared(self, line: socket.socket) -> None:
        """In the child: run short jobs. Its log is the runner's."""
        assert self._perform is not None
        self._close_inherited()
        if SharedWorker(self._state, self._perform, self._wake, line).serve():
            ensure_patiently(self._state, self._work)

    def _drop_inherited(self, job_id: str) -> None:
        """In a child: drop all that belongs to the runner, and redirect output to the job's log."""
        self._close_inherited()
        try:
            detach.redirect_streams(self._state.job_log(job_id))
        except OSError as error:  # no log is no reason not to run
            log(f"the log of job {job_id} cannot be opened: {error}")

    def _close_inherited(self) -> None:
        self._tenure.end()
        self._shared.drop()
        for number in (signal.SIGCHLD, *signals.STOPPING):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        for fd in (self._bell, self._wakeup, self._wakeup_write):
            os.close(fd)

    def _wake(self) -> None:
        """For a worker: without a runner, queued jobs and the parts of a conductor would never
        start."""
        try:
            start.ensure_runner(self._state, self._work)
        except DetachFailed as error:
            log(f"cannot start a runner, retrying: {error}")

    def _has_changed(self) -> bool:
        """Whether a child would mix the code in memory with other code on disk."""
        return self._code is None or self._code.has_changed()

    def _is_idle(self) -> bool:
        return time.monotonic() - self._busy_at > IDLE_SECONDS

    def _sleep(self) -> None:
        with selectors.PollSelector() as selector:  # poll(2) needs no file descriptor of its own
            selector.register(self._bell, selectors.EVENT_READ)
            selector.register(self._wakeup, selectors.EVENT_READ)
            for line in self._shared.files():
                selector.register(line, selectors.EVENT_READ)
            ready = selector.select(TICK_SECONDS)
        self._is_rung = any(key.fd == self._bell for key, _ in ready)
        doorbell.quiet(self._bell)
        doorbell.quiet(self._wakeup)


def main(argv: Sequence[str]) -> None:
    """`python -m jobs.runner STATE_DIR MODULE:FUNCTION`"""
    parser = argparse.ArgumentParser(prog="jobs.runner")
    parser.add_argument("state_dir", type=Path)
    parser.add_argument("work")
    asked = parser.parse_args(argv)
    state = StateDir(asked.state_dir)
    try:
        Runner(state.create(), asked.work).run()
    except Exception as error:
        if (told := trouble.words(error, state)) is None:
            raise
        log(f"runner {os.getpid()} exits: {told}")  # `start` shows the end of the log
        sys.exit(1)
