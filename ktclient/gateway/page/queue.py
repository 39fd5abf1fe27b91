"""The queue as the page shows it: the fields of `ktjob status --json`, and the place in line.

A key sees its own jobs. What waits before them is counted, not named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from jobs import clock
from jobs.model import Job, Status
from jobs.store.http.store import HttpStore
from ktclient.records import blocks, overview, snapshot

ROWS = 120
"""Jobs on the page at most; older ones are listed on request."""
_PLACES = 5000
"""So many queued jobs have a place."""
_LISTS = {Status.RUNNING: "running", Status.QUEUED: "queued", Status.FINISHED: "recent"}

Record = dict[str, object]


@dataclass(frozen=True)
class Queue:
    """Jobs by id, and their ids in order."""

    order: dict[str, list[str]] = field(default_factory=dict)
    """running, queued, recent: ids."""
    jobs: dict[str, Record] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    """running, queued, recent: how many there are, those that are not here included."""

    @property
    def servers(self) -> set[str]:
        """The servers of the jobs that have not ended."""
        open_ones = [*self.order.get("running", ()), *self.order.get("queued", ())]
        return {str(self.jobs[job_id]["server"]) for job_id in open_ones}


def read(store: HttpStore, owner: str | None) -> Queue:
    """The queue of an owner; None: everybody's."""
    places, running = _places(store)
    if owner is not None:
        lists, counts = _owned(store, owner), store.counts_owned(owner)
        shown = snapshot.of_jobs(store, [job for jobs in lists.values() for job in jobs])
        waits = {
            one.id: blocks.word(one.blocked_by) or _behind(places.get(one.id), running[one.server])
            for one in shown
        }
    else:
        found = overview.read(store, ROWS)
        deleted = store.deleted_over_http()
        shown, waits = [one for one in found.jobs if one.id not in deleted], found.waits
        counts = store.counts()
    order: dict[str, list[str]] = {name: [] for name in _LISTS.values()}
    jobs: dict[str, Record] = {}
    for one in shown:
        place = places.get(one.id)
        is_queued = one.state == Status.QUEUED.value
        waiting = {"place": place, "wait": waits.get(one.id, "")} if is_queued else {}
        jobs[one.id] = {**one.to_dict(), **waiting}
        order[_list_of(one.state)].append(one.id)
    return Queue(order, jobs, {name: counts.get(one, 0) for one, name in _LISTS.items()})


def _list_of(state: str) -> str:
    return {"RUNNING": "running", "QUEUED": "queued"}.get(state, "recent")


def _owned(store: HttpStore, owner: str) -> dict[Status, Sequence[Job]]:
    """As many of each status as `overview.read` takes."""
    running = store.owned(owner, Status.RUNNING, ROWS)
    left = ROWS - len(running)
    waiting, ended = (
        store.owned(owner, Status.QUEUED, left),
        store.owned(owner, Status.FINISHED, left),
    )
    waiting = waiting[: max(left - len(ended), (left + 1) // 2)]
    return {
        Status.RUNNING: running,
        Status.QUEUED: waiting,
        Status.FINISHED: ended[: left - len(waiting)],
    }


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
    """Finished jobs behind the first `skip`, last ended first."""
    most = skip + limit
    found = store.ended(most) if owner is None else store.owned(owner, Status.FINISHED, most)
    deleted = store.deleted_over_http()
    kept = [job for job in found[skip:] if job.id not in deleted]
    return [one.to_dict() for one in snapshot.of_jobs(store, kept)]


def changes(before: Queue, now: Queue) -> dict[str, object]:
    """What a page that shows `before` must learn to show `now`: the order, and the jobs that are
    new or not as they were."""
    jobs = {one: record for one, record in now.jobs.items() if before.jobs.get(one) != record}
    return {"order": now.order, "counts": now.counts, "jobs": jobs, "now": clock.now()}
