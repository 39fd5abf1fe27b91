"""The parts of a job, as the work of its attempt creates and reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jobs.model import Attempt, Capacity, Job, NewJob, Piece, Status
from jobs.store.families import Tally
from jobs.store.store import Store

UNKNOWN = Capacity(slots=1)
"""The capacity of a pool that is not known yet."""


class Parts:
    """The parts of one job. Every method raises `StoreUnusable` while the store cannot be used."""

    def __init__(self, store: Store, job: Job) -> None:
        self._store = store
        self._job = job
        self.wake: Callable[[], None] = lambda: None
        """Ensures that a runner lives, and wakes it."""

    def add(self, new: Sequence[NewJob]) -> list[Job]:
        """Store parts, in one transaction for each pool. Each part is stored once, however often it
        is added. Parts get this job's priority. The known capacities of their pools do not change.

        Raises `IllegalTransition` once the job has ended or has a cancel request.
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
        """All parts, oldest first."""
        return self._store.parts(self._job.id)

    def running(self) -> list[Job]:
        """The parts that run now."""
        running = self._store.in_status(Status.RUNNING)
        return [job for job in running if job.parent == self._job.id]

    def named(self, name: str) -> Job | None:
        """The part of that name, if there is one."""
        return self._store.part(self._job.id, name)

    def tally(self) -> Tally:
        return self._store.tally(self._job.id)

    def attempt(self, part: Job) -> Attempt | None:
        """The part's current or last attempt; None before the first."""
        return self._store.attempt(part)

    def pieces(self, part: Job, after: int = 0) -> list[Piece]:
        """Output of the part's current or last attempt after piece `after`, in order."""
        return self._store.pieces(part.id, part.attempt, after)

    def answer(self, part: Job) -> str:
        """The answer so far of the part's last attempt."""
        return "".join(piece.text for piece in self.pieces(part) if piece.channel == "answer")

    def withdraw(self) -> None:
        """Cancel the queued parts: their results would be useless."""
        for part in self.all():
            if part.status is Status.QUEUED:
                self._store.withdraw(part.id)
