"""Which queued jobs may start now. Pure: no clock, no store, no processes.

A pool's queue is ordered by priority, then by age. A younger job may pass a waiting job only if it
cannot delay it: for every set of earlier jobs beside which the waiting job fits, it must also fit
together with the jobs that passed it. Durations are not known, and this rule needs none. So, among
equal priorities, no job starts later than in strict queue order.

On a pool with affinity (a server with a prefix cache), jobs with the same document never run
simultaneously. Among equal priorities, jobs that begin as the one that started last go first:
measured on an H100, a question about 587K tokens took 34.4 s to its first token and the next one on
the same text 2.8 s. This is the only rule that can delay another job, and `MOST_PASSES` limits it.

What a request begins with is the work's to say (`Begins`): two requests about one document share
nothing of a cache if another system prompt, effort or model stands before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from jobs.model import Capacity, Job, Warmth

MOST_PASSES = 16
"""After this many younger jobs have started, none passes the oldest job for affinity any more."""
Begins = Callable[[str, str], str]
"""From a job's spec and the SHA-256 of its document: a key that is equal for requests with a long
beginning in common."""
CAREFUL = Capacity(slots=1)
"""The capacity of a pool of which nothing is known."""
_MOST_SUMS = 2000
"""How many sets of running jobs are distinguished; with more, the worst case is assumed."""


def choose(
    queued: Iterable[Job],
    running: Iterable[Job],
    capacities: Mapping[str, Capacity],
    warmth: Mapping[str, Warmth] | None = None,
    begins: Begins = lambda spec, document: document,
) -> list[Job]:
    """The jobs to start, in queue order, within each pool's capacity.

    A job that is heavier than its whole pool starts when the pool is empty: no other time is
    better.
    """
    lines: dict[str, list[Job]] = {}
    for job in queued:
        lines.setdefault(job.pool, []).append(job)
    busy: dict[str, list[Job]] = {}
    for job in running:
        busy.setdefault(job.pool, []).append(job)
    chosen: list[Job] = []
    for pool, line in lines.items():
        capacity = capacities.get(pool, CAREFUL)
        running_here = list(busy.get(pool, []))
        keys = _keys([*line, *running_here], begins) if capacity.affinity else {}
        warm = _warm(capacity, (warmth or {}).get(pool), begins)
        line.sort(key=lambda job: (-job.priority, keys.get(job.id, "") != warm, job.seq))
        chosen += _Pool(capacity, running_here, keys).admit(line)
    return chosen


def _keys(jobs: Iterable[Job], begins: Begins) -> dict[str, str]:
    """What each request begins with, by the id of its job."""
    return {job.id: begins(job.spec, job.document) for job in jobs}


def _warm(capacity: Capacity, warmth: Warmth | None, begins: Begins) -> str | None:
    if not capacity.affinity or warmth is None or warmth.passes >= MOST_PASSES:
        return None
    return begins(warmth.spec, warmth.document)


@dataclass
class _Room:
    """How much may still pass a waiting job without delaying it."""

    job: Job
    tokens: float
    slots: float


@dataclass
class _Pool:
    """One pool while it is being filled."""

    capacity: Capacity
    running: list[Job]
    keys: Mapping[str, str]
    """What each request begins with, by the id of its job; empty without affinity."""
    waiting: list[_Room] = field(default_factory=list)
    """The jobs that could not start, in queue order. No other job may delay them."""

    def admit(self, line: list[Job]) -> list[Job]:
        started: list[Job] = []
        for place, job in enumerate(line):
            if self._fits(job) and not self._is_held(job) and not self._delays(job):
                started.append(job)
                self.running.append(job)
                for room in self.waiting:
                    room.tokens -= job.weight
                    room.slots -= 1
            else:
                self.waiting.append(self._room(job, line[:place]))
        return started

    def _fits(self, job: Job) -> bool:
        weight = job.weight + sum(one.weight for one in self.running)
        return not self.running or self._holds(weight, 1 + len(self.running))

    def _holds(self, weight: float, count: float) -> bool:
        return weight <= _limit(self.capacity.tokens) and count <= _limit(self.capacity.slots)

    def _is_held(self, job: Job) -> bool:
        """Whether another job reads its document now, or an earlier one waits to read it."""
        if not self.capacity.affinity:
            return False
        busy = [*self.running, *(room.job for room in self.waiting)]
        return any(self._is_same_reading(one, job) for one in busy)

    def _is_same_reading(self, one: Job, job: Job) -> bool:
        """Whether both read one document behind the same beginning. Requests that share less may
        run together: a long answer of one would delay the other by more than its prefill."""
        return one.document == job.document and self.keys[one.id] == self.keys[job.id]

    def _delays(self, job: Job) -> bool:
        return any(room.tokens < job.weight or room.slots < 1 for room in self.waiting)

    def _room(self, job: Job, before: list[Job]) -> _Room:
        """The least room beside `job`, over all sets of earlier jobs beside which it fits."""
        elders = [one for one in self.running if one in before or _key(one) < _key(job)]
        passed_it = [one for one in self.running if one not in elders]
        elders += [room.job for room in self.waiting]
        weight, count = self._heaviest_beside(job, elders)
        tokens, slots = _limit(self.capacity.tokens), _limit(self.capacity.slots)
        if weight + job.weight > tokens:  # heavier than the pool: it waits for all to end
            return _Room(job, 0, 0)
        tokens -= job.weight + weight + sum(one.weight for one in passed_it)
        return _Room(job, tokens, slots - 1 - count - len(passed_it))

    def _heaviest_beside(self, job: Job, elders: list[Job]) -> tuple[float, float]:
        """The most weight and the most jobs, over all sets of `elders` beside which `job` fits."""
        sums = {(0, 0)}
        for elder in elders:
            more = {(weight + elder.weight, count + 1) for weight, count in sums}
            sums |= {one for one in more if self._holds(one[0] + job.weight, one[1] + 1)}
            if len(sums) > _MOST_SUMS:
                weight = sum(one.weight for one in elders)
                most = _limit(self.capacity.tokens) - job.weight
                return min(weight, most), min(len(elders), _limit(self.capacity.slots) - 1)
        return max(one[0] for one in sums), max(one[1] for one in sums)


def _key(job: Job) -> tuple[int, int]:
    return -job.priority, job.seq


def _limit(number: int | None) -> float:
    return float("inf") if number is None else number
