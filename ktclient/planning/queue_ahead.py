"""What is ahead of a new request on its server: other clients' requests, and ktjob's own jobs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from jobs import clock
from jobs.errors import StoreUnusable
from jobs.model import Job, Status
from jobs.store.store import Store
from ktclient.config.settings import Settings
from ktclient.planning import own_requests
from ktclient.planning.own_requests import OwnRequest, OwnWork
from ktclient.records import phases, snapshot
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.wording import spoken

_LISTED = 100
"""`Store.next_in_line` returns at most this many jobs per pool."""


@dataclass(frozen=True)
class Position:
    """The running ktjob job that started first. `eta`: seconds until its first token; None if
    unknown, or if the token has arrived."""

    id: str
    is_answering: bool
    eta: float | None

    def __str__(self) -> str:
        if self.is_answering:
            return f"{self.id} is generating its answer"
        if self.eta is None:
            return f"the remaining prefill time of {self.id} is unknown"
        return f"{self.id} finishes prefill in about {spoken(self.eta)}"


@dataclass(frozen=True)
class QueueAhead:
    """`is_busy`, `running` and `waiting` come from the server, for all its clients; None is
    unknown. `jobs_running` and `jobs_waiting` count ktjob's own jobs."""

    is_busy: bool | None = None
    running: int | None = None
    waiting: int | None = None
    jobs_running: int = 0
    jobs_waiting: int = 0
    head: Position | None = None
    is_asleep: bool | None = None
    """Whether the server has unloaded its model for lack of work."""
    own: OwnWork = field(default_factory=OwnWork)
    """What the server has still to read of ktjob's own requests, ghosts of ended ones included."""

    def lines(self) -> list[str]:
        """Lines for people; empty if nothing is known to be ahead."""
        lines = []
        if self.is_asleep:
            lines.append("server asleep: it loads its model first, which may take minutes")
        lines += [_ghost(one, is_sure=self.is_busy is True) for one in self._ghosts]
        if self._serves_others:
            lines.append(f"server busy{self._load} (the estimate assumes an idle server)")
        if self.head is not None:
            more = f"; {self._waiting} before this one" if self.jobs_waiting else ""
            lines.append(f"{self._running}: {self.head}{more}")
        elif self.jobs_waiting:
            lines.append(f"{self._waiting} before this one")
        return lines

    @property
    def _serves_others(self) -> bool:
        """Whether it serves other clients too. A prompt in prefill is in neither count, and nor is
        the ghost of a request."""
        if self.jobs_running == 0 and not (self.running or self.waiting):
            return self.is_busy is True and not self._ghosts
        return (self.running or 0) + (self.waiting or 0) > self.jobs_running

    @property
    def _ghosts(self) -> list[OwnRequest]:
        """Requests of ended attempts that a server still computes, if it does not deny it."""
        return [one for one in self.first.requests if one.ended is not None]

    @property
    def first(self) -> OwnWork:
        """What the server reads first, as far as it does not say that it is idle."""
        return self.own.running() if self.is_busy is False else self.own

    @property
    def _load(self) -> str:
        if self.running is None:
            return ""  # it did not answer in time, or does not report counts
        if not self.running and not self.waiting:
            return ": prefill of a prompt"
        waiting = "" if self.waiting is None else f", {self.waiting} waiting"
        return f": {_requests(self.running)} running{waiting}"

    @property
    def _running(self) -> str:
        verb = "is" if self.jobs_running == 1 else "are"
        return f"{_jobs(self.jobs_running)} {verb} running there"

    @property
    def _waiting(self) -> str:
        least = "at least " if self.jobs_waiting >= _LISTED else ""
        verb = "waits" if self.jobs_waiting == 1 else "wait"
        return f"{least}{_jobs(self.jobs_waiting)} {verb}"


def read(server: str, facts: ServerFacts | None, settings: Settings) -> QueueAhead:
    """From the server's facts, and from the store if it exists: nothing is created."""
    said = QueueAhead()
    if facts is not None:
        said = QueueAhead(facts.is_busy, facts.running, facts.waiting, is_asleep=facts.is_asleep)
    try:
        store = Store.open_if_any(settings.state)
        if store is None:
            return said
        with store:
            running = [job for job in store.in_status(Status.RUNNING) if job.pool == server]
            waiting = sum(job.pool == server for job in store.next_in_line())
            head = _head(store, running)
            since = clock.ago(own_requests.LONGEST_SECONDS)
            own = own_requests.in_prefill(store.attempts_in_pool(server, since), clock.now())
    except StoreUnusable:
        return said
    return replace(said, jobs_running=len(running), jobs_waiting=waiting, head=head, own=own)


def _head(store: Store, running: list[Job]) -> Position | None:
    if not running:
        return None
    first = snapshot.of_job(store, min(running, key=lambda job: (job.started_at or "", job.seq)))
    return Position(first.id, first.phase == phases.DECODE, first.eta_seconds)


def _ghost(one: OwnRequest, *, is_sure: bool) -> str:
    verb = "is still computing" if is_sure else "may still compute"
    left = "" if one.left is None else f", for about {spoken(one.left)} more"
    return f"the server {verb} {one.name}, which ended {spoken(one.ended or 0.0)} ago{left}"


def _jobs(number: int) -> str:
    return "1 of your jobs" if number == 1 else f"{number} of your jobs"


def _requests(number: int) -> str:
    return "1 request" if number == 1 else f"{number} requests"
