"""One process for many short jobs: a thread for each, and all else as in a process of its own.

A job whose prefill takes seconds costs more to start than to run, so such jobs share a worker. Each
has its own attempt, lock, connection and stream. What ends the process ends all of them, and they
are repeated: that costs the seconds that they had taken. A long request never shares.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import sys
import threading
import traceback
from collections.abc import Callable

from jobs import known_secrets
from jobs.errors import StoreUnusable
from jobs.processes import signals
from jobs.store.state_dir import StateDir
from jobs.worker import process
from jobs.worker.attempt import Perform
from jobs.worker.thread_log import ThreadLog

LOOK_SECONDS = 0.5
"""How often the main thread looks for a stop signal, where nothing else wakes it."""
LEAVING = b"!"
"""What is sent instead of a job's id when this process takes no more jobs."""
_LONGEST_ID = 256


class SharedWorker:
    """Runs the jobs whose ids come over `line`, a socket that keeps messages apart. The id comes
    back when the job's attempt has ended. When the other end is closed, the process ends after its
    jobs."""

    def __init__(
        self, state: StateDir, perform: Perform, wake: Callable[[], None], line: socket.socket
    ) -> None:
        self._state = state
        self._perform = perform
        self._wake = wake
        self._line = line
        self._told = signals.StopRequested()
        self._log = ThreadLog.install()
        self._threads: set[threading.Thread] = set()
        self._is_leaving = False
        self._is_more = False

    def serve(self) -> bool:
        """Run jobs until the line is closed, a stop signal comes, or a job could not record its
        end. Returns whether there is more to do: queued jobs or pending notifications."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._line, selectors.EVENT_READ)
            while not (self._told.by or self._is_leaving):
                if selector.select(LOOK_SECONDS) and not self._receive():
                    break
        for thread in list(self._threads):
            thread.join()
        return self._is_more and not self._told.by

    def _receive(self) -> bool:
        """Start the next job. False when the line is closed."""
        job_id = self._line.recv(_LONGEST_ID).decode()
        if not job_id or self._told.by:  # an id that was sent meanwhile is still queued
            return False
        thread = threading.Thread(target=self._run, args=(job_id,), name=f"job {job_id}")
        self._threads.add(thread)
        thread.start()
        return True

    def _run(self, job_id: str) -> None:
        told = self._told
        try:
            with self._log.of_this_thread(self._state.job_log(job_id)):
                is_more = process.run_job(self._state, job_id, self._perform, self._wake, told)
            self._is_more |= is_more
        except BaseException as error:
            # The job counts as running for as long as this process lives: so it ends, soon.
            self._is_leaving = True
            if not isinstance(error, StoreUnusable):  # else the job's log has it
                words = known_secrets.hide(traceback.format_exc())
                print(f"job {job_id}: {words}", file=sys.stderr, flush=True)
        finally:
            self._threads.discard(threading.current_thread())
            is_leaving = self._is_leaving or self._told.by
            self._send(LEAVING if is_leaving else job_id.encode())

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(OSError):  # the runner is gone
            self._line.send(message)
