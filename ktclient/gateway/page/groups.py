"""Groups as the page shows them: one line in the lists, and each with its jobs once it is open. A
key sees the jobs of a group that are its own, and is given numbers of those only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from jobs.model import Job, Status
from jobs.store.groups import Group
from jobs.store.http.store import HttpStore
from ktclient.gateway import visibility
from ktclient.gateway.context import Caller
from ktclient.records import blocks, snapshot, tally
from ktclient.records.blocks import BlockedGroup
from ktclient.records.snapshot import Snapshot

MOST_MEMBERS = 500
"""Jobs of a group that are shown; the command line lists all of them."""
ALL = 2**31

Record = dict[str, object]


@dataclass(frozen=True)
class Members:
    """A group and its jobs, as a page that has it open shows them."""

    group: Record = field(default_factory=dict)
    jobs: dict[str, Record] = field(default_factory=dict)


def in_one(
    store: HttpStore, found: Sequence[Group], firsts: Sequence[Snapshot]
) -> list[tuple[Snapshot, Record]]:
    """Each group as one record, and what is said of it besides. `firsts` begins with its first
    job, in the same order."""
    blocked = blocks.of_groups(store, found, store.pauses())
    return [
        (tally.in_one(group, first, blocked.get(group.id)), _said(group, blocked.get(group.id)))
        for group, first in zip(found, firsts, strict=False)
    ]


def _said(group: Group, blocked: BlockedGroup | None) -> Record:
    known = tally.of_group(group, blocked)
    return {"is_group": True, "tally": {**asdict(known), "words": known.in_words()}}


def members(store: HttpStore, caller: Caller, group_id: str) -> Members:
    """A group with its first `MOST_MEMBERS` jobs. Raises `ApiError` 404."""
    group = store.seen_group(caller.sees, group_id)
    if group is None:
        raise visibility.not_found(group_id)
    jobs = snapshot.of_jobs(store, store.seen_members(caller.sees, group_id, MOST_MEMBERS))
    ((one, said),) = in_one(store, [group], jobs)
    ended = group.total - group.queued - group.running
    can = {
        "cancel": group.queued + group.running > 0,
        "retry": ended > group.succeeded,
        "hold": any(job.state == Status.QUEUED.value and not job.held_at for job in jobs),
        "release": any(job.held_at for job in jobs),
        "export": ended > 0,
    }
    record = {**one.to_dict(), **said, "can": can, "hidden": group.total - len(jobs)}
    return Members(record, {job.id: job.to_dict() for job in jobs})


def changes(before: Members, now: Members) -> Record:
    """What a page that shows `before` must learn to show `now`."""
    jobs = {one: record for one, record in now.jobs.items() if before.jobs.get(one) != record}
    return {"group": now.group, "order": list(now.jobs), "jobs": jobs}


def jobs_of(store: HttpStore, caller: Caller, group_id: str) -> list[Job]:
    """All jobs of a group that the caller may see. Raises `ApiError` 404."""
    found = store.seen_members(caller.sees, group_id, ALL)
    if not found:
        raise visibility.not_found(group_id)
    return found
