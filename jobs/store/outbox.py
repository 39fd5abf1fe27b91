"""Notifications about ended jobs: an outbox in the database, so that neither a kill nor a reboot
loses one. Delivery is at least once: a notifier that dies before it records its delivery is
followed by another one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from jobs import clock
from jobs.quick_dataclass import record
from jobs.store.database import Database

FIRST_PAUSE_SECONDS = 10.0
"""Pause before the second try; each later pause is five times as long."""
MOST_TRIES = 7
"""The last try is 10 hours after the end, to outlast a mail server's outage overnight."""
POSTPONED_SECONDS = 60.0
"""Pause before a notification is begun again that could not be tried."""
MOST_SECONDS = 600.0
"""How long one try may take. No other process begins another try before that."""


@record(frozen=True)
class Notification:
    """One notification about a job's end. The code that delivers it understands `kind` and
    `target`."""

    seq: int
    job_id: str
    kind: str
    target: str
    tries: int
    """How many tries began before this one."""
    group_id: str | None = None
    """The group that it is about, as a whole."""


class Outbox(Database):
    """Which notifications are due, when, and how each try ended."""

    def due_tellings(self, limit: int) -> list[Notification]:
        """The first `limit` notifications that are due now. One that is due later than any pause
        lasts was postponed by a clock that was set back since: it is due too."""
        latest = clock.ago(-(MOST_SECONDS + _pause(MOST_TRIES)))
        found = self._all("due_tellings", now=clock.now(), latest=latest, limit=limit)
        return [
            Notification(
                row["seq"], row["job_id"], row["kind"], row["target"], row["tries"], row["group_id"]
            )
            for row in found
        ]

    def tellings(self, job_id: str) -> tuple[tuple[str, str], ...]:
        """The notifications of a job's end, sent or not: (kind, target), as they were stored."""
        found = self._all("tellings_of", job_id=job_id)
        return tuple((row["kind"], row["target"]) for row in found)

    def owes_tellings(self) -> bool:
        """Whether any is due, now or later."""
        return bool(self._scalar("owes_tellings"))

    def begin_telling(self, telling: Notification) -> bool:
        """Begin a try in this process. False when another process was first, or when no try is
        left because every notifier died: then the notification is given up."""
        if telling.tries >= MOST_TRIES:
            self.end_telling(replace(telling, tries=telling.tries - 1), "the notifier died")
            return False
        again = clock.ago(-(MOST_SECONDS + _pause(telling.tries)))
        with self._transaction():
            return bool(
                self._run("begin_telling", seq=telling.seq, tries=telling.tries, due_at=again)
            )

    def end_telling(self, telling: Notification, trouble: str | None) -> None:
        """Record how the try ended. `trouble` is None after a delivery, else what went wrong; then
        the notification becomes due again, unless this was the last try."""
        at, is_last = clock.now(), telling.tries + 1 >= MOST_TRIES
        due_at = None if trouble is None or is_last else clock.ago(-_pause(telling.tries))
        told_at = at if trouble is None else None
        with self._transaction():
            self._run(
                "end_telling",
                seq=telling.seq,
                tries=telling.tries + 1,
                due_at=due_at,
                told_at=told_at,
                trouble=trouble,
            )
            data: dict[str, object] = {"kind": telling.kind, "try": telling.tries + 1}
            if trouble is not None:
                data |= {"trouble": trouble, "again": due_at or "given up"}
            kind = "told" if trouble is None else "not told"
            text = json.dumps(data, ensure_ascii=False)
            self._run("note_telling", job_id=telling.job_id, at=at, kind=kind, data=text)

    def postpone_telling(self, telling: Notification, trouble: str) -> None:
        """Record that it could not be tried: it is due again soon, and no try is used up. The same
        trouble is noted once."""
        at, again = clock.now(), clock.ago(-POSTPONED_SECONDS)
        with self._transaction():
            is_new = self._scalar("trouble_of_telling", seq=telling.seq) != trouble
            self._run(
                "postpone_telling",
                seq=telling.seq,
                tries=telling.tries + 1,
                due_at=again,
                trouble=trouble,
            )
            if is_new:
                data = {"kind": telling.kind, "trouble": trouble, "again": again}
                text = json.dumps(data, ensure_ascii=False)
                self._run("note_telling", job_id=telling.job_id, at=at, kind="not told", data=text)

    def _insert_tellings(self, job_id: str, tellings: Sequence[tuple[str, str]]) -> None:
        for kind, target in tellings:
            self._run("insert_telling", job_id=job_id, kind=kind, target=target)


def _pause(tries: int) -> float:
    return FIRST_PAUSE_SECONDS * 5.0**tries
