"""Jobs in a store, as tests of the page's rooms need them."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.model import Capacity, Job, NewJob, NewRequest
from jobs.store.store import Store
from ktclient.prompts.tasks import task
from ktclient.submission.spec import JobSpec

SERVER = "http://127.0.0.1:9"


def put(store: Store, *titles: str, owner: str = "", server: str = SERVER) -> list[Job]:
    """Queued jobs of an owner; of the command line where there is none."""
    return store.submit_all(_new(titles, owner, server), Capacity(slots=100))


def put_group(store: Store, *titles: str, owner: str = "") -> list[Job]:
    """The same as one group."""
    return store.submit_all(_new(titles, owner, SERVER), Capacity(slots=100), ())


def _new(titles: Sequence[str], owner: str, server: str) -> list[NewJob]:
    spec = JobSpec(task(True, None, None), server, None, 10, 60.0).to_json()
    request = NewRequest(owner, "responses", "", {}) if owner else None
    return [
        NewJob(server, spec, b"text", title, max_attempts=2, request=request) for title in titles
    ]
