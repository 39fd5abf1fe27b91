"""The parts of a job, as the work of its attempt makes and sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jobs.model import Attempt, Capacity, Job, NewJob, Piece, Status
from jobs.store.families import Tally
from jobs.store.store import Store

UNKNOWN = Capacity(slots=1)
"""Of a pool that nobody has told anything about."""


class Parts:
    """Of one job. Every method raises `StoreUnusable` while the store cannot be used."""

    def __init__(self, store: Store, job: Job) -> None:
        self._store = store
        self._job = job
        self.wake: Callable[[], None] = lambda: None
        """Makes sure that a runner lives and looks at the queue."""

    def add(self, new: Sequence[NewJob]) -> list[Job]:
        """Store parts, those of a pool in one transaction; each is stored once, however often it
        is added. They have this job's priority. What their pools may hold stays as it is known.

        Raises `IllegalTransition` once the job has ended or a cancel is wished for.
        """
        known = self._store.capacities()
        stored: dict[str | None, Job] = {}
        for pool in dict.fromkeys(one.pool for one in new):
            some = [one for one in new if one.pool == pool]
            for job in self._store.submit_all(some, known.get(pool, UNKNOWN)):
                stored[job.part] = job
        self.wake()
        return [stored[one.part] for one in new]

    def all(self) -> list[Job]:
        """Oldest first."""
        return self._store.parts(self._job.id)

    def named(self, name: str) -> Job | None:
        """The part of that name, if there is one."""
        return self._store.part(self._job.id, name)

    def tally(self) -> Tally:
        return self._store.tally(self._job.id)

    def attempt(self, part: Job) -> Attempt | None:
        """The part's current or last attempt; None before the first."""
        return self._store.attempt(part)

    def pieces(self, part: Job, after: int = 0) -> list[Piece]:
        """Output of that attempt that came after piece `after`, in order."""
        return self._store.pieces(part.id, part.attempt, after)

    def answer(self, part: Job) -> str:
        """What the part's last attempt has answered."""
        return "".join(piece.text for piece in self.pieces(part) if piece.channel == "answer")

    def withdraw(self) -> None:
        """Cancel those that do not run: they would be computed in vain."""
        for part in self.all():
            if part.status is Status.QUEUED:
                self._store.withdraw(part.id)
