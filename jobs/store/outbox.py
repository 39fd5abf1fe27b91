"""Whom to tell how a job ended: an outbox in the database, so that neither a kill nor a reboot
loses what is to be told. Told at least once: whoever dies before he has noted it tells again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jobs import clock
from jobs.store.database import Database

FIRST_PAUSE_SECONDS = 10.0
"""Before the second try; before each later one five times as long."""
MOST_TRIES = 7
"""The last one 10 hours after the end: a mail server's bad night."""
MOST_SECONDS = 600.0
"""How long one try may take. Until then nobody else begins another."""


@dataclass(frozen=True)
class Notification:
    """Somebody to be told how a job ended. `kind` and `target` are for whoever tells."""

    seq: int
    job_id: str
    kind: str
    target: str
    tries: int
    """How many were begun before this one."""


class Outbox(Database):
    """What is to be told, when, and what became of it."""

    def due_tellings(self, limit: int) -> list[Notification]:
        """The first that are due now."""
        found = self._all("due_tellings", now=clock.now(), limit=limit)
        return [
            Notification(row["seq"], row["job_id"], row["kind"], row["target"], row["tries"])
            for row in found
        ]

    def owes_tellings(self) -> bool:
        """Whether any is due, now or later."""
        return bool(self._scalar("owes_tellings"))

    def begin_telling(self, telling: Notification) -> bool:
        """Begin a try, for this process alone. False when another was first, and when every one
        who tried has died: then it is given up."""
        if telling.tries >= MOST_TRIES:
            self.end_telling(replace(telling, tries=telling.tries - 1), "who was to tell died")
            return False
        again = clock.ago(-(MOST_SECONDS + _pause(telling.tries)))
        with self._transaction():
            return bool(
                self._run("begin_telling", seq=telling.seq, tries=telling.tries, due_at=again)
            )

    def end_telling(self, telling: Notification, trouble: str | None) -> None:
        """Note how the try went: told, or what was in the way; after the last one for good."""
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

    def _insert_tellings(self, job_id: str, tellings: Sequence[tuple[str, str]]) -> None:
        for kind, target in tellings:
            self._run("insert_telling", job_id=job_id, kind=kind, target=target)


def _pause(tries: int) -> float:
    return FIRST_PAUSE_SECONDS * 5.0**tries
