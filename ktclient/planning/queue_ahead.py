"""What is ahead of a new request on its server: others' requests, and jobs of our own queue."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.errors import StoreUnusable
from jobs.model import Job, Status
from jobs.store.store import Store
from ktclient.config.settings import Settings
from ktclient.records import snapshot
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.wording import spoken

_LISTED = 100
"""`Store.next_in_line` names no more of a pool."""


@dataclass(frozen=True)
class Position:
    """The running job of ours that started first. `eta`: seconds until its first word; None when
    nobody knows, or it is out."""

    id: str
    is_answering: bool
    eta: float | None

    def __str__(self) -> str:
        if self.is_answering:
            return f"{self.id} writes its answer"
        if self.eta is None:
            return f"how long {self.id} still reads is unknown"
        return f"{self.id} still reads for about {spoken(self.eta)}"


@dataclass(frozen=True)
class QueueAhead:
    """`is_busy`, `running` and `waiting` are the server's own words, of all its clients; None is
    unknown. `jobs_running` and `jobs_waiting` are ours."""

    is_busy: bool | None = None
    running: int | None = None
    waiting: int | None = None
    jobs_running: int = 0
    jobs_waiting: int = 0
    head: Position | None = None

    def lines(self) -> list[str]:
        """In words, for people; none where nothing is known to be ahead."""
        told = []
        if self._serves_others:
            told.append(f"serves others now{self._load}; the time is for an idle server")
        if self.head is not None:
            more = f", {self._waiting} before this one" if self.jobs_waiting else ""
            told.append(f"{_jobs(self.jobs_running)} of yours at work there: {self.head}{more}")
        elif self.jobs_waiting:
            told.append(f"{self._waiting} before this one")
        return told

    @property
    def _serves_others(self) -> bool:
        """Whether it works, and not only for us. A prompt that is being read is in no count."""
        if self.jobs_running == 0:
            return self.is_busy is True
        return (self.running or 0) + (self.waiting or 0) > self.jobs_running

    @property
    def _load(self) -> str:
        if self.running is None:
            return ""  # it did not answer in time, or does not count
        if not self.running and not self.waiting:
            return ": it reads a prompt"
        waiting = "" if self.waiting is None else f", {self.waiting} waiting"
        return f": {self.running} running{waiting}"

    @property
    def _waiting(self) -> str:
        least = "at least " if self.jobs_waiting >= _LISTED else ""
        verb = "waits" if self.jobs_waiting == 1 else "wait"
        return f"{least}{_jobs(self.jobs_waiting)} of yours {verb}"


def read(server: str, facts: ServerFacts | None, settings: Settings) -> QueueAhead:
    """By what the server said, and the store if there is one: a look creates nothing."""
    said = (
        QueueAhead() if facts is None else QueueAhead(facts.is_busy, facts.running, facts.waiting)
    )
    try:
        store = Store.open_if_any(settings.state)
        if store is None:
            return said
        with store:
            running = [job for job in store.in_status(Status.RUNNING) if job.pool == server]
            waiting = sum(job.pool == server for job in store.next_in_line())
            head = _head(store, running)
    except StoreUnusable:
        return said
    return QueueAhead(said.is_busy, said.running, said.waiting, len(running), waiting, head)


def _head(store: Store, running: list[Job]) -> Position | None:
    if not running:
        return None
    first = snapshot.of_job(store, min(running, key=lambda job: (job.started_at or "", job.seq)))
    return Position(first.id, first.phase == "decode", first.eta_seconds)


def _jobs(number: int) -> str:
    return "1 job" if number == 1 else f"{number} jobs"
