"""The queue as the page shows it: the fields of `ktjob status --json`, and the place in line. Jobs
that were submitted together are one line.

A key sees its own jobs. What waits before them is counted, not named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from jobs import clock
from jobs.model import Job, Pause, Status
from jobs.store.http.store import HttpStore
from ktclient.gateway.page import groups
from ktclient.records import blocks, overview, snapshot
from ktclient.records.snapshot import Snapshot

ROWS = 120
"""Lines on the page at most; older ones are listed on request."""
_PLACES = 5000
"""So many queued jobs have a place."""
_LISTS = {Status.RUNNING: "running", Status.QUEUED: "queued", Status.FINISHED: "recent"}

Record = dict[str, object]


@dataclass(frozen=True)
class Queue:
    """Jobs and groups by id, and their ids in order."""

    order: dict[str, list[str]] = field(default_factory=dict)
    """running, queued, recent: ids."""
    jobs: dict[str, Record] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    """running, queued, recent: how many jobs there are, those that are not here included."""
    has_older: bool = False
    """Whether more have ended than are here."""
    paused: list[Record] = field(default_factory=list)
    """What is paused, in words, and its server; None: the whole queue."""

    @property
    def servers(self) -> set[str]:
        """The servers of the jobs that have not ended."""
        open_ones = [*self.order.get("running", ()), *self.order.get("queued", ())]
        return {str(self.jobs[job_id]["server"]) for job_id in open_ones}


@dataclass(frozen=True)
class _Lines:
    """What is shown: groups and jobs alone, as one record each."""

    running: list[Snapshot]
    queued: list[Snapshot]
    ended: list[Snapshot]
    grouped: dict[str, Record]
    """What is said of each group besides, by its id."""


def read(store: HttpStore, owner: str | None) -> Queue:
    """The queue of an owner; None: everybody's."""
    pauses = store.pauses()
    lines = _lines(store, owner, ROWS, pauses)
    left = max(0, ROWS - len(lines.running))
    queued = lines.queued[: max(left - len(lines.ended), (left + 1) // 2)]
    recent = lines.ended[: left - len(queued)]
    places, running = _places(store)
    waits = _waits(store, owner, [*lines.running, *lines.queued], places, running)
    order: dict[str, list[str]] = {}
    jobs: dict[str, Record] = {}
    for name, shown in (("running", lines.running), ("queued", queued), ("recent", recent)):
        order[name] = [one.id for one in shown]
        for one in shown:
            waiting = {"place": places.get(one.id), "wait": waits.get(one.id, "")}
            jobs[one.id] = {
                **one.to_dict(),
                **lines.grouped.get(one.id, {}),
                **(waiting if one.state == Status.QUEUED.value else {}),
            }
    counts = store.counts() if owner is None else store.counts_owned(owner)
    return Queue(
        order=order,
        jobs=jobs,
        counts={name: counts.get(one, 0) for one, name in _LISTS.items()},
        has_older=len(recent) < len(lines.ended),
        paused=[_paused(one) for one in pauses],
    )


def _lines(
    store: HttpStore, owner: str | None, most: int, pauses: Sequence[Pause] | None = None
) -> _Lines:
    """All that may be shown, and one more of what has ended."""
    deleted = store.deleted_over_http() if owner is None else set[str]()
    alone = [
        [job for job in _alone(store, owner, status, most + 1) if job.id not in deleted]
        for status in (Status.RUNNING, Status.QUEUED, Status.FINISHED)
    ]
    found = store.seen_groups(owner, most + 1)
    firsts = store.jobs_of([one.first for one in found])
    read_jobs = snapshot.of_jobs(store, [*firsts, *(job for jobs in alone for job in jobs)], pauses)
    grouped = groups.in_one(store, found, read_jobs)
    shown = [*(one for one, _ in grouped), *read_jobs[len(found) :]]
    ended = [one for one in shown if one.is_finished]
    return _Lines(
        running=[one for one in shown if one.state == Status.RUNNING.value][:most],
        queued=[one for one in shown if one.state == Status.QUEUED.value][:most],
        ended=sorted(ended, key=lambda one: one.finished_at or "", reverse=True)[: most + 1],
        grouped={one.id: said for one, said in grouped},
    )


def _alone(store: HttpStore, owner: str | None, status: Status, limit: int) -> list[Job]:
    if owner is not None:
        return store.owned(owner, status, limit, alone=True)
    read_them = {
        Status.RUNNING: store.running,
        Status.QUEUED: store.waiting,
        Status.FINISHED: store.ended,
    }
    return read_them[status](limit, alone=True)


def _waits(
    store: HttpStore,
    owner: str | None,
    shown: Sequence[Snapshot],
    places: dict[str, int],
    running: Counter[str],
) -> dict[str, str]:
    """Why each line waits. To a key, jobs of others are numbers."""
    if owner is None:
        refused = overview.refused_locks(store, store.waiting(ROWS))
        return overview.reasons(shown, clock.now(), refused)
    return {
        one.id: blocks.word(one.blocked_by) or _behind(places.get(one.id), running[one.server])
        for one in shown
    }


def _paused(one: Pause) -> Record:
    block = blocks.of_pause(one)
    return {"server": one.pool, "since": one.since, "why": block.why, "command": block.command}


def _places(store: HttpStore) -> tuple[dict[str, int], Counter[str]]:
    """The place of each queued job among those for its server, from 1; and how many jobs run on
    each server."""
    places: dict[str, int] = {}
    lines: Counter[str] = Counter()
    for job_id, pool in store.order_of_queue(_PLACES):
        lines[pool] += 1
        places[job_id] = lines[pool]
    return places, Counter(job.pool for job in store.running(ROWS))


def _behind(place: int | None, running: int) -> str:
    if place is None:
        return ""
    ahead = place - 1 + running
    return "next" if not ahead else f"behind {ahead:,} {'job' if ahead == 1 else 'jobs'}"


def older(store: HttpStore, owner: str | None, skip: int, limit: int) -> list[Record]:
    """Groups and jobs alone that have ended, behind the first `skip`, last ended first."""
    lines = _lines(store, owner, skip + limit)
    shown = lines.ended[skip : skip + limit]
    return [{**one.to_dict(), **lines.grouped.get(one.id, {})} for one in shown]


def changes(before: Queue, now: Queue) -> dict[str, object]:
    """What a page that shows `before` must learn to show `now`: the order, and the jobs that are
    new or not as they were."""
    jobs = {one: record for one, record in now.jobs.items() if before.jobs.get(one) != record}
    return {
        "order": now.order,
        "counts": now.counts,
        "has_older": now.has_older,
        "paused": now.paused,
        "jobs": jobs,
        "now": clock.now(),
    }
