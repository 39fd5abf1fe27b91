"""The process of a run, in a terminal or detached: how it ends, and how another process ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from jobs import clock, known_secrets
from jobs.errors import KtjobError
from jobs.processes import identity
from jobs.processes.identity import HeldLock
from server_bundle.transfers import pool
from server_bundle.transfers.meter import Stopped
from server_bundle.transfers.progress import COMPLETE, FAILED, STOPPED, Record

LOOK_SECONDS = 0.2
_STOP_SECONDS = 30.0


def perform(
    record: Record, lock: HeldLock, folder: Path, work: Callable[[], str], failed: type[KtjobError]
) -> None:
    """Do the work of a run and write how it ended: with the message that `work` returns, or with
    its error. Releases the lock. Raises what `work` raises, `Stopped` on SIGTERM, and `failed` for
    a disk that cannot be written."""
    phase, message = FAILED, ""
    try:
        with _stoppable():
            message, phase = work(), COMPLETE
    except (Stopped, KeyboardInterrupt):
        phase = STOPPED
        raise
    except KtjobError as error:
        message = str(error)
        raise
    except OSError as error:
        message = pool.unwritable(error, folder)
        raise failed(message) from error
    except Exception as error:  # a mistake of this program: its place is in the log
        message = f"{type(error).__name__}: {error}"
        raise
    finally:
        with contextlib.suppress(OSError):
            record.end(phase, known_secrets.hide_foreign(message))
        lock.release()


def to_log(work: Callable[[], None]) -> None:
    """Do the work of a detached process, whose output is its log. Raises `SystemExit` with 1 for an
    error, which is in the log then."""
    try:
        work()
    except Stopped:
        say("stopped on request; what has arrived is kept")
    except KtjobError as error:
        say(known_secrets.hide_foreign(str(error)))
        raise SystemExit(1) from None


def say(words: str) -> None:
    """A line for the log of a detached process."""
    print(f"{clock.now()} {words}", flush=True)


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM raises `Stopped` inside."""

    def stop(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # what ends now is not interrupted again
        raise Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def stop(lock: Path, what: str, failed: type[KtjobError]) -> bool:
    """Stop the process that holds the lock of a run; what has arrived stays. False where none
    runs. Raises `failed` if it does not end."""
    running = identity.holder(lock)
    if running is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGTERM)
    give_up = time.monotonic() + _STOP_SECONDS
    while identity.is_same_process_alive(running) and identity.is_held(lock):
        if time.monotonic() > give_up:
            raise failed(
                f"{what} has not ended after {_STOP_SECONDS:.0f} s: its disk or connection hangs. "
                f"End its process with: kill -9 {running.pid}"
            )
        time.sleep(LOOK_SECONDS)  # a lock of another process reports nothing
    return True
