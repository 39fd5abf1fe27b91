"""Pauses, holds and priorities, as commands and programs ask for them.

A server is named here as for a submit, and in the store by the URL of its pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.model import Job, Pause, Status
from jobs.store.control import Control, Refusals
from jobs.store.store import Store
from ktclient import urls
from ktclient.config.settings import EMBEDDED, Settings
from ktclient.errors import BadInput
from ktclient.planning import preflight
from ktclient.records import access, kinds, phases
from ktclient.servers import selection


@dataclass(frozen=True)
class Paused:
    """What a pause found. Ids are those of whole jobs, each once."""

    pause: Pause
    is_new: bool
    """Whether it was not paused before."""
    sent: tuple[str, ...]
    """Running jobs whose requests are with a server: they continue."""
    unsent: tuple[str, ...]
    """Running jobs that have sent nothing yet: they wait for the end of the pause."""
    waiting: int
    """How many queued jobs wait for it."""


@dataclass(frozen=True)
class Resumed:
    """What a resume ended, and what it left."""

    pools: tuple[str | None, ...]
    """None: the pause of the whole queue."""
    left: tuple[Pause, ...]


def pause(settings: Settings, server: str | None = None) -> Paused:
    """Let no job start from now on; with `server`, a name or a URL, none of that server's. What is
    running continues. Raises `BadInput` for a name that is not configured."""
    with Control.open(settings.state) as store:
        pool = None if server is None else _pool(settings, store, server)
        is_new = store.pause(pool)
        (found,) = (one for one in store.pauses() if one.pool == pool)
        sent, unsent = _running(store, pool)
        waiting = sum(_is_concerned(store, job, pool) for job in store.in_status(Status.QUEUED))
    return Paused(found, is_new, sent, unsent, waiting)


def resume(settings: Settings, server: str | None = None, *, everything: bool = False) -> Resumed:
    """End the pause of the whole queue, of one server, or (`everything`) each pause that there is.
    Wakes the runner. Raises `BadInput` as `pause`."""
    if not settings.state.is_stored():
        return Resumed((), ())
    with Control.open_existing(settings.state) as store:
        if everything:
            ended = store.resume_all()
        else:
            pool = None if server is None else _pool(settings, store, server)
            ended = [pool] if store.resume(pool) else []
        left = store.pauses()
    access.ensure_runner(settings.state)
    return Resumed(tuple(ended), tuple(left))


def pauses(settings: Settings) -> list[Pause]:
    """What is paused now; the whole queue first."""
    if not settings.state.is_stored():
        return []
    with access.open_recovered(settings.state) as store:
        return store.pauses()


def hold(settings: Settings, ids: Sequence[str]) -> Refusals:
    """Keep these jobs from starting. Ids are whole. Raises `NoSuchJob`; then nothing is changed.
    A refusal of one does not keep the others from being held."""
    with Control.open_existing(settings.state) as store:
        return store.hold(ids, conducts)


def release(settings: Settings, ids: Sequence[str]) -> Refusals:
    """Let held jobs start. Otherwise as `hold`."""
    with Control.open_existing(settings.state) as store:
        refused = store.release(ids)
    access.ensure_runner(settings.state)
    return refused


def prioritize(settings: Settings, ids: Sequence[str], priority: int | None) -> Refusals:
    """Set the priority of waiting jobs; None: before all others that wait, in this order. Otherwise
    as `hold`. Raises `BadInput` for a number that cannot be stored."""
    if priority is not None:
        preflight.check_priority(priority)
    with Control.open_existing(settings.state) as store:
        refused = store.prioritize(ids, priority, conducts)
    access.ensure_runner(settings.state)
    return refused


def conducts(job: Job) -> bool:
    """Whether the job sends nothing itself: its parts do, and they may wait while it runs."""
    return kinds.kind_of(job.spec) is not None


def _pool(settings: Settings, store: Store, named: str) -> str:
    """The pool of a server: as jobs have it, else as they would. Queries nothing."""
    meant = settings.meant(named)
    assert meant is not None
    url = meant.url or ""
    if url == EMBEDDED:
        return EMBEDDED
    if "://" not in url:
        known = ", ".join(settings.servers) or "none"
        raise BadInput(
            f"there is no server {named!r}: give a name of the configuration ({known}) or a URL"
        )
    root = urls.root_of(url)
    same = (urls.by_number(root) or root, root)
    found = (pool for pool in store.capacities() if any(urls.is_same(pool, one) for one in same))
    return next(found, None) or selection.canonical_root(url)


def _running(store: Store, pool: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The running jobs of a pool, None: of all, whose requests were sent, and the others."""
    jobs = [job for job in store.in_status(Status.RUNNING) if pool is None or job.pool == pool]
    jobs = [job for job in jobs if not conducts(job)]
    phase = {job_id: one.phase for job_id, one in store.current_attempts(jobs).items()}
    sent = [job for job in jobs if phase.get(job.id) not in phases.BEFORE_SENDING]
    unsent = [job for job in jobs if phase.get(job.id) in phases.BEFORE_SENDING]
    return _wholes(sent), _wholes(unsent)


def _wholes(jobs: Sequence[Job]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(job.parent or job.id for job in jobs))


def _is_concerned(store: Store, job: Job, pool: str | None) -> bool:
    if job.parent is not None:
        return False
    return pool is None or any(one.pool == pool for one in store.pauses_of(job.id))
