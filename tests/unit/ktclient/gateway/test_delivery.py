"""Which jobs are deleted after their answers were delivered."""

from __future__ import annotations

import pytest

from jobs.errors import StoreUnusable
from jobs.model import Capacity, NewJob, NewRequest, Outcome
from jobs.processes import identity
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from jobs.upkeep import garbage
from ktclient.gateway import delivery


def submitted(store: HttpStore, *, is_stored: bool) -> str:
    request = NewRequest("", "chat", "digest", {}, is_stored)
    job = store.submit(NewJob("pool", "{}", b"text", "title", request=request), Capacity(slots=9))
    store.claim(job.id, identity.mine())
    return job.id


def test_what_was_delivered_and_is_not_to_be_stored_goes_and_nothing_else(state: StateDir) -> None:
    with HttpStore.open(state) as store:
        kept, gone, undelivered, running, deleted = (
            submitted(store, is_stored=n in (0, 4)) for n in range(5)
        )
        for job_id in (kept, gone, undelivered, deleted):
            store.finish(job_id, 1, Outcome.SUCCEEDED, None, None)
        for job_id in (kept, gone, running):
            store.note_delivered(job_id)
        store.note_deleted(deleted)
        store.note_deleted(running)
        assert delivery.sweep(state)
        left = {one for one in (kept, gone, undelivered, running, deleted) if store.exists(one)}
        assert left == {kept, undelivered, running}
        store.finish(running, 1, Outcome.CANCELLED, None, None)
        assert delivery.sweep(state)
        assert not store.exists(running)


def test_one_that_cannot_be_deleted_keeps_no_other(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker may not quite have ended. A later sweep deletes it."""
    delete = garbage.delete_job
    with HttpStore.open(state) as store:
        held, free = (submitted(store, is_stored=False) for _ in range(2))
        for job_id in (held, free):
            store.finish(job_id, 1, Outcome.SUCCEEDED, None, None)
            store.note_delivered(job_id)

        def refuse(where: StateDir, job_id: str) -> None:
            if job_id == held:
                raise StoreUnusable("not now")
            delete(where, job_id)

        monkeypatch.setattr(garbage, "delete_job", refuse)
        assert not delivery.sweep(state)
        assert store.exists(held) and not store.exists(free)
        monkeypatch.setattr(garbage, "delete_job", delete)
        assert delivery.sweep(state)
        assert not store.exists(held)
