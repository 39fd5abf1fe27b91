"""What the user has paused or held, in words, and the command that lets it start."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from jobs import clock
from jobs.model import Job, Pause, Status
from jobs.quick_dataclass import record
from ktclient.records.phases import PAUSED

if TYPE_CHECKING:
    from jobs.store.groups import Group
    from jobs.store.store import Store

HELD, QUEUE, SERVER = "held", "queue", "server"
"""What keeps a job from starting."""
_MOST_REASONS = 2


@record(frozen=True)
class Block:
    """Why a job does not start before somebody changes that."""

    kind: str
    """One of `HELD`, `QUEUE`, `SERVER`."""
    since: str
    """UTC, ISO 8601."""
    why: str
    """The reason, in words."""
    command: str
    """What lets it start, as far as this block is concerned."""

    def __str__(self) -> str:
        return f"{self.why}; to start it: {self.command}"


def in_short(reasons: Iterable[str | None]) -> str:
    """Why several jobs do not start, each reason once; if there are many, the first and how many
    more. Empty for none."""
    each = list(dict.fromkeys(one for one in reasons if one))
    if len(each) <= _MOST_REASONS:
        return "; ".join(each)
    return f"{each[0]}; and {len(each) - 1:,} more (ktjob status)"


def of_pause(pause: Pause) -> Block:
    """The block by a pause."""
    at = _at(pause.since)
    if pause.pool is None:
        return Block(QUEUE, pause.since, f"the queue is paused since {at}", "ktjob resume")
    why = f"the server {pause.pool} is paused since {at}"
    return Block(SERVER, pause.since, why, f"ktjob resume --server {pause.pool}")


def of_jobs(
    store: Store, jobs: Sequence[Job], pauses: Sequence[Pause] | None = None
) -> dict[str, Block]:
    """The block of each queued job that has one, by id: its hold, else the widest pause. Also of a
    running job that is held: its parts wait. `pauses`: those of the store, where they are known."""
    found: dict[str, Block] = {}
    for job in jobs:
        if job.status is not Status.FINISHED and job.held_at is not None:
            command = f"ktjob release {job.id if job.parent is None else job.parent}"
            found[job.id] = Block(HELD, job.held_at, f"held since {_at(job.held_at)}", command)
    waiting = [job for job in jobs if job.status is Status.QUEUED and job.id not in found]
    if not waiting:
        return found
    by_pool = {one.pool: one for one in (store.pauses() if pauses is None else pauses)}
    for job in waiting if by_pool else ():
        pools = (None, job.pool, json.loads(job.spec)["server"])  # of a conductor, of its parts
        if pause := _pause_of(pools, by_pool):
            found[job.id] = of_pause(pause)
    return found


def of_holds(number: int, since: str, group_id: str) -> Block:
    """The block of several jobs of a group that are held, the first `since` then."""
    why = f"{number:,} held since {_at(since)}"
    return Block(HELD, since, why, f"ktjob release {group_id}")


@record(frozen=True)
class BlockedGroup:
    """What keeps jobs of a group from starting."""

    paused: int
    """How many jobs wait for the end of a pause; those that are held not counted."""
    block: Block
    """The hold of those that are held, else the widest pause."""


def of_groups(
    store: Store, groups: Sequence[Group], pauses: Sequence[Pause]
) -> dict[str, BlockedGroup]:
    """The blocked groups, by id."""
    found = {}
    by_pool = {one.pool: one for one in pauses}
    waiting = store.waiting_in_groups([one.id for one in groups]) if pauses else {}
    for group in groups:
        met = [
            (pause, number)
            for places, number in waiting.get(group.id, ())
            if (pause := _pause_of((None, *sorted(places)), by_pool))
        ]
        if group.held_at is not None:
            block = of_holds(group.held, group.held_at, group.id)
        elif met:
            block = of_pause(met[0][0])
        else:
            continue
        found[group.id] = BlockedGroup(sum(number for _, number in met), block)
    return found


def _pause_of(pools: Iterable[str | None], by_pool: Mapping[str | None, Pause]) -> Pause | None:
    return next((by_pool[pool] for pool in pools if pool in by_pool), None)


def word(kind: str | None) -> str:
    """A block in one word, by its kind: as a phase, and in a table; empty for none."""
    return {None: "", HELD: HELD}.get(kind, PAUSED)


def word_of(store: Store, job: Job) -> str:
    """The same of a queued job."""
    found = of_jobs(store, [job]) if job.status is Status.QUEUED else {}
    return word(found[job.id].kind) if found else ""


def of_attempt(pauses: Sequence[Pause]) -> str:
    """Why a job that has begun sends nothing yet."""
    return of_pause(pauses[0]).why if pauses else "it is paused"


def _at(utc: str) -> str:
    """In the reader's zone: the time today, with the date on other days."""
    then, today = (clock.moment(at).astimezone() for at in (utc, clock.now()))
    return then.strftime("%H:%M" if then.date() == today.date() else "%Y-%m-%d %H:%M")
