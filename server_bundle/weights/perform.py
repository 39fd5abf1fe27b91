"""Perform a prepared fetch, in a terminal or detached, and keep its progress for others to see."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from jobs import known_secrets
from jobs.errors import KtjobError
from jobs.processes.identity import HeldLock
from server_bundle.weights import runs
from server_bundle.weights.fetch import Fetch, Work, unwritable
from server_bundle.weights.hubs.hub import Hub
from server_bundle.weights.meter import Reading, Stopped
from server_bundle.weights.runs import Progress, RunFiles


def perform(
    work: Work,
    hub: Hub,
    lock: HeldLock,
    files: RunFiles,
    on_reading: Callable[[Reading], None],
    say: Callable[[str], None],
) -> None:
    """Fetch until all is whole. Releases the lock. Raises `FetchFailed`, `FetchRefused`, `Stopped`
    and `KeyboardInterrupt`."""
    progress = Progress(files)
    fetch = Fetch(work, hub, lambda words: say(known_secrets.hide_foreign(words)))

    def report(reading: Reading) -> bool:
        on_reading(reading)
        with contextlib.suppress(OSError):  # a full disk of the state directory ends no fetch
            progress.show(reading)
        return files.stop.exists()

    state, message = runs.FAILED, ""
    try:
        fetch.run(report)
        state = runs.FINISHED
    except (Stopped, KeyboardInterrupt):
        state = runs.STOPPED
        raise
    except KtjobError as error:
        message = known_secrets.hide_foreign(str(error))
        raise
    except OSError as error:
        message = str(unwritable(error, work.request.to))
        raise unwritable(error, work.request.to) from error
    finally:
        with contextlib.suppress(OSError):
            progress.end(state, fetch.meter.reading(), message)
        lock.release()
