"""Batches as the store has them: whose they are, and what they have come to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.errors import PartFailed
from jobs.model import Capacity, Identity, Job, NewJob, NewRequest, Outcome, Piece
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from jobs.upkeep import garbage
from ktclient.batch.spec import BatchSpec, Request, to_document
from ktclient.gateway.batches import batch_object, results, state
from ktclient.gateway.context import Caller
from ktclient.gateway.files import expiry
from ktclient.gateway.wire.errors import ApiError
from ktclient.records import kinds, phases

ANNA, BEN, ADMIN = Caller("anna", is_admin=False), Caller("ben", is_admin=False), Caller("root")
ME = Identity("boot", 1, 1)
FIELDS: dict[str, object] = {
    "input_file_id": "file-x",
    "endpoint": "/v1/chat/completions",
    "completion_window": "24h",
    "metadata": None,
    "output_seconds": None,
    "filename": "a.jsonl",
}
SPEC = BatchSpec(*("batch 1", None, 0o600, 3, "d", "http://x", None, 8, 60.0, 2), is_held=True)


@pytest.fixture
def folder(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state").create()


@pytest.fixture
def store(folder: StateDir) -> Iterator[HttpStore]:
    with HttpStore.open(folder) as one:
        yield one


def line(name: str) -> Request:
    return Request(name, b'{"messages":[]}', None, 8, 60.0, 1, None)


def add(store: HttpStore, **fields: object) -> Job:
    request = NewRequest("anna", "batches", "digest", {**FIELDS, **fields})
    document = to_document(line(name) for name in "abc")
    new = NewJob(kinds.POOL, SPEC.to_json(), document, "a.jsonl", request=request)
    return store.submit(new, Capacity())


def run(store: HttpStore, job: Job, phase: str) -> None:
    store.claim(job.id, ME)
    store.enter_phase(job.id, 1, phase)


def part(store: HttpStore, parent: Job, name: str, outcome: Outcome, text: str = "") -> None:
    """A part that has ended."""
    new = NewJob("http://x", "{}", b"{}", name, parent=parent.id, part=name)
    job = store.submit(new, Capacity())
    store.claim(job.id, ME)
    store.append(job.id, 1, [Piece(1, "answer", text)] if text else [])
    figures: dict[str, object] = {"prompt_tokens": 5, "completion_tokens": 2, "cached_tokens": 1}
    store.set_figures(job.id, 1, figures)
    cause, message = (None, None) if outcome is Outcome.SUCCEEDED else ("server_died", "it died")
    store.finish(job.id, 1, outcome, cause, message)


def shown(store: HttpStore, job: Job) -> dict[str, object]:
    return batch_object.to_json(state.find(store, ANNA, f"batch_{job.id}"))


def test_anothers_batch_is_not_there(store: HttpStore, folder: StateDir) -> None:
    job = add(store)
    assert state.find(store, ANNA, job.id).job == state.find(store, ADMIN, job.id).job
    assert [one.job.id for one in state.listed(store, ADMIN, 9, None, is_descending=True)] == [
        job.id
    ]
    assert state.listed(store, BEN, 9, None, is_descending=True) == []
    store.request_cancel(job.id)
    result = f"{batch_object.ERR}{job.id}"
    assert results.find(store, ANNA, result).id == result
    for given in (job.id, f"batch_{job.id}", "batch_none"):
        with pytest.raises(ApiError) as caught:
            state.find(store, BEN, given)
        assert caught.value.status == 404
    for file_id in (result, f"{batch_object.ERR}none", f"{batch_object.ERR}batch_{job.id}"):
        with pytest.raises(ApiError):
            results.find(store, BEN, file_id)
    with pytest.raises(ApiError):  # each file has one id
        results.find(store, ANNA, f"{batch_object.ERR}batch_{job.id}")


def test_a_job_of_another_kind_is_no_batch(store: HttpStore) -> None:
    chat = store.submit(NewJob("http://x", "{}", b"{}", "a"), Capacity())
    with pytest.raises(ApiError):
        state.find(store, ADMIN, chat.id)


def test_each_state_has_its_name_and_its_times(store: HttpStore) -> None:
    job = add(store)
    run(store, job, phases.RUNNING_REQUESTS)
    assert shown(store, job)["status"] == "in_progress"
    part(store, job, "a", Outcome.SUCCEEDED, "yes")
    part(store, job, "b", Outcome.FAILED)
    counts = {"total": 3, "completed": 1, "failed": 1}
    assert shown(store, job)["request_counts"] == counts
    assert shown(store, job)["output_file_id"] is None  # not before its end
    store.enter_phase(job.id, 1, phases.WRITING_RESULTS)
    found = shown(store, job)
    assert found["status"] == "finalizing" and found["finalizing_at"]
    store.finish(job.id, 1, Outcome.FAILED, PartFailed.cause, "1 of 3 lines failed")
    found = shown(store, job)
    assert found["status"] == "completed" and found["errors"] is None
    assert found["completed_at"] and found["failed_at"] is None
    assert found["output_file_id"] == f"file-batch_out_{job.id}"
    assert found["error_file_id"] == f"file-batch_err_{job.id}"
    usage = found["usage"]
    assert isinstance(usage, dict) and usage["total_tokens"] == 14
    assert usage["input_tokens_details"] == {"cached_tokens": 2, "cache_write_tokens": 0}


def test_a_batch_whose_job_is_lost_failed_and_keeps_its_answers(
    store: HttpStore, folder: StateDir
) -> None:
    job = add(store, output_seconds=3600)
    run(store, job, phases.RUNNING_REQUESTS)
    part(store, job, "b", Outcome.SUCCEEDED, "yes")
    store.finish(job.id, 1, Outcome.LOST, "worker_died", "its worker died")
    found = shown(store, job)
    assert found["status"] == "failed" and found["failed_at"]
    errors = found["errors"]
    assert isinstance(errors, dict)
    assert errors["data"] == [
        {"line": None, "param": None, "code": "worker_died", "message": "its worker died"}
    ]
    lines = {}
    for prefix in (batch_object.OUT, batch_object.ERR):
        result = results.find(store, ANNA, f"{prefix}{job.id}")
        path = results.written(store, folder, result)
        lines[prefix] = [json.loads(one) for one in path.read_text().splitlines()]
        about = results.about(store, folder, result)
        assert about.bytes == path.stat().st_size and about.expires_at is not None
        assert path.stat().st_mode & 0o777 == 0o600
    (answer,) = lines[batch_object.OUT]
    assert answer["custom_id"] == "b" and answer["error"] is None
    assert answer["response"]["body"]["choices"][0]["message"]["content"] == "yes"
    assert [(one["custom_id"], one["response"]) for one in lines[batch_object.ERR]] == [
        ("a", None),
        ("c", None),
    ]
    assert {one["error"]["code"] for one in lines[batch_object.ERR]} == {"worker_died"}
    assert len({one["id"] for some in lines.values() for one in some}) == 3
    whole = results.about(store, folder, results.find(store, ANNA, f"{batch_object.OUT}{job.id}"))
    shutil.rmtree(folder.gateway_batches)
    folder.gateway_batches.write_text("in the way")  # as a disk that takes no file
    again = results.find(store, ANNA, f"{batch_object.OUT}{job.id}")
    assert results.about(store, folder, again) == whole
    with pytest.raises(ApiError) as caught:
        results.written(store, folder, again)
    assert caught.value.status == 507
    folder.gateway_batches.unlink()
    results.written(store, folder, again)
    results.delete(store, folder, results.find(store, ANNA, f"{batch_object.ERR}{job.id}"))
    assert [one.id for one in results.listed(store, ANNA)] == [f"{batch_object.OUT}{job.id}"]
    assert [one.name for one in folder.gateway_batches.iterdir()] == [f"{job.id}.output.jsonl"]


def test_a_batch_cancelled_before_its_check_names_its_lines(
    store: HttpStore, folder: StateDir
) -> None:
    """Also the results of a batch that was deleted are deleted."""
    spec = replace(SPEC, lines=0, digest="", is_checked=False)
    body = {"messages": [{"role": "user", "content": "x"}]}
    lines = [
        {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
        for name in "ab"
    ]
    document = b"\n".join(json.dumps(one).encode() for one in lines) + b"\nno JSON"
    request = NewRequest("anna", "batches", "digest", FIELDS)
    new = NewJob(kinds.POOL, spec.to_json(), document, "a.jsonl", request=request)
    job = store.submit(new, Capacity())
    assert shown(store, job)["status"] == "validating"
    store.request_cancel(job.id)
    found = shown(store, job)
    assert found["status"] == "cancelled" and found["output_file_id"] is None
    result = results.find(store, ANNA, f"{batch_object.ERR}{job.id}")
    path = results.written(store, folder, result)
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(one["custom_id"], one["error"]["code"]) for one in told] == [
        ("a", "batch_cancelled"),
        ("b", "batch_cancelled"),
    ]
    expiry.sweep(folder, orphan_seconds=0.0)
    assert path.exists()
    garbage.delete_job(folder, job.id)
    expiry.sweep(folder, orphan_seconds=0.0)
    assert not path.exists()
    with pytest.raises(ApiError):
        results.find(store, ANNA, f"{batch_object.ERR}{job.id}")
