"""The runner's notifiers: one forked child for each notification, so that none blocks another."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence

from jobs import known_secrets
from jobs.errors import CannotTellYet, KtjobError
from jobs.processes import detach
from jobs.store import outbox
from jobs.store.outage import retry_until_usable
from jobs.store.outbox import Notification
from jobs.store.state_dir import StateDir
from jobs.store.store import Store

MOST_AT_ONCE = 4
"""How many notifiers run simultaneously: fewer hanging ones do not block others."""
REST_SECONDS = 5.0
"""Pause before another notifier starts after one died unrecorded: it prevents a hot loop."""
GRACE_SECONDS = 30.0
"""How long a notifier may take to end by itself after its time limit."""
LONGEST_TROUBLE = 500

Notify = Callable[[StateDir, Notification], None]
"""Delivers one notification; raises a `KtjobError` when that failed and is to be retried."""


class Notifiers:
    """The running notifiers of one runner."""

    def __init__(self) -> None:
        self._children: dict[int, Notification] = {}
        self._sent_at: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._children)

    def ended(self, pid: int) -> bool:
        """Drop a child that has ended. False when it is not a notifier."""
        return self._children.pop(pid, None) is not None

    def send(self, due: Sequence[Notification], child: Callable[[Notification], None]) -> None:
        """Fork a notifier for each due notification without one. Raises `OSError` when the system
        cannot create another process."""
        self._end_overdue()
        under_way = {telling.seq for telling in self._children.values()}
        now = time.monotonic()
        for telling in due:
            is_resting = now - self._sent_at.get(telling.seq, -REST_SECONDS) < REST_SECONDS
            if telling.seq in under_way or is_resting or len(self._children) >= MOST_AT_ONCE:
                continue
            self._sent_at[telling.seq] = now
            self._children[detach.fork_child(functools.partial(child, telling))] = telling

    def _end_overdue(self) -> None:
        """Kill notifiers past their time limit, with all processes that they started: code in the
        child may have suppressed its alarm."""
        for pid, telling in self._children.items():
            if time.monotonic() - self._sent_at[telling.seq] > outbox.MOST_SECONDS + GRACE_SECONDS:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)


def deliver(state: StateDir, telling: Notification, tell: Notify) -> None:
    """In the child: deliver, and record the result. A delivery that takes too long is ended, with
    all processes that it started: this child leads its own process group."""
    with Store.open_existing(state) as store:
        if not retry_until_usable(lambda: store.begin_telling(telling)):
            return
    trouble: str | None = None
    is_try = True
    try:
        trouble = _trouble_of(state, telling, tell)
    except CannotTellYet as error:
        trouble, is_try = str(error)[:LONGEST_TROUBLE], False
    with Store.open_existing(state) as store:
        if trouble is None or is_try:
            retry_until_usable(lambda: store.end_telling(telling, trouble))
        else:
            retry_until_usable(lambda: store.postpone_telling(telling, str(trouble)))
    if trouble is not None:
        os.killpg(0, signal.SIGKILL)  # also processes that its command left running


def _trouble_of(state: StateDir, telling: Notification, tell: Notify) -> str | None:
    def give_up(*_: object) -> None:
        raise TimeoutError(f"the delivery took longer than {outbox.MOST_SECONDS:g} s and was ended")

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, outbox.MOST_SECONDS)
    try:
        tell(state, telling)
    except CannotTellYet:
        raise
    except (KtjobError, OSError) as error:
        return str(error)[:LONGEST_TROUBLE]
    except Exception as error:
        print(known_secrets.hide(traceback.format_exc()), file=sys.stderr, flush=True)
        return f"unexpected {type(error).__name__}; see the job's log"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None
