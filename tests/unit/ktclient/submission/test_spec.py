"""What a job stores, read by this version and by others."""

from __future__ import annotations

import json

from ktclient.batch.spec import BatchSpec, Request
from ktclient.prompts.tasks import Kind, Task
from ktclient.submission.spec import JobSpec

SPEC = JobSpec(Task(Kind.SUMMARIZE), "http://x", None, 100, 60.0)


def test_whether_there_was_a_key_is_stored_where_older_versions_ignore_it() -> None:
    """Inside "task", and only if there was one: a job of before has none, and waits for none."""
    keyed = JobSpec(Task(Kind.SUMMARIZE), "http://x", None, 100, 60.0, has_key=True)
    stored = json.loads(keyed.to_json())
    assert stored["task"]["keyed"] is True and stored.keys() == json.loads(SPEC.to_json()).keys()
    assert JobSpec.from_json(keyed.to_json()) == keyed
    assert JobSpec.from_json(SPEC.to_json()) == SPEC and "keyed" not in SPEC.to_json()


def test_a_batch_hands_it_on_to_its_requests() -> None:
    """And one that was stored before has none."""
    batch = BatchSpec("/r", None, 0o600, 1, "d", "http://x", None, 8, 60.0, 2, has_key=True)
    assert BatchSpec.from_json(batch.to_json()) == batch
    before = json.loads(batch.to_json())
    del before["keyed"]
    assert not BatchSpec.from_json(json.dumps(before)).has_key
    request = Request("a", b"{}", None, 8, 60.0, 9, None)
    assert JobSpec.from_json(request.spec("http://x", has_key=True)).has_key
