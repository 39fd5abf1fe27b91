"""/v1/batches with openai's own client: a file of requests is one job of the queue."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from fake_sglang.process import FakeServer, fake_sglang
from openai.types import Batch
from openai.types.responses import Response
from support.batches import WINDOWED, asked, request, said
from support.gateway import gateway

from jobs.model import Outcome
from jobs.store.resume import Successions
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.batch import retry as batch_retry
from ktclient.records import access, kinds

Until = Callable[..., Any]
CHAT = "/v1/chat/completions"


@contextmanager
def served(state: StateDir, tmp_path: Path, *options: str) -> Iterator[tuple[Any, FakeServer]]:
    """A client of a gateway in front of a scripted server."""
    with fake_sglang(tmp_path, *WINDOWED, *options) as server, gateway(state, server.url) as one:
        yield one.client(), server


def jsonl(*lines: object) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def upload(client: Any, *lines: object) -> str:
    file = client.files.create(file=("requests.jsonl", jsonl(*lines)), purpose="batch")
    return str(file.id)


def create(client: Any, file_id: str, **more: Any) -> Batch:
    made: Batch = client.batches.create(
        input_file_id=file_id, endpoint=CHAT, completion_window="24h", **more
    )
    return made


def ended(client: Any, until: Until, batch_id: str) -> Batch:
    def look() -> Batch | None:
        found: Batch = client.batches.retrieve(batch_id)
        return found if found.status in ("completed", "failed", "cancelled") else None

    return until(look)  # type: ignore[no-any-return]


def lines_of(client: Any, file_id: str | None) -> dict[str, dict[str, Any]]:
    assert file_id is not None
    text = client.files.content(file_id).text
    return {line["custom_id"]: line for line in map(json.loads, text.splitlines())}


def test_a_batch_runs_to_its_end(state: StateDir, tmp_path: Path, until: Until) -> None:
    with served(state, tmp_path) as (client, server):
        file_id = upload(client, *(request(f"r{n}", f"question {n}") for n in range(3)))
        made = create(client, file_id, metadata={"night": "1"})
        assert made.status in ("validating", "in_progress")
        assert made.object == "batch" and made.input_file_id == file_id
        assert client.files.delete(file_id).deleted  # the batch has its own copy
        done = ended(client, until, made.id)
        assert done.status == "completed" and done.errors is None
        assert done.metadata == {"night": "1"} and done.endpoint == CHAT
        counts = done.request_counts
        assert counts is not None and (counts.total, counts.completed, counts.failed) == (3, 3, 0)
        assert done.usage is not None and done.usage.output_tokens == 24
        assert (
            done.usage.total_tokens == done.usage.input_tokens + 24 and done.error_file_id is None
        )
        assert done.in_progress_at and done.finalizing_at and done.completed_at
        Batch.model_validate(done.to_dict(), strict=True)

        found = lines_of(client, done.output_file_id)
        assert set(found) == {"r0", "r1", "r2"}
        assert all(said(line) for line in found.values())
        body = found["r0"]["response"]["body"]
        assert body["object"] == "chat.completion" and body["usage"]["completion_tokens"] == 8
        shown = client.files.retrieve(done.output_file_id)
        assert shown.purpose == "batch_output" and shown.filename == "requests_output.jsonl"
        assert shown.bytes == len(client.files.content(shown.id).read())
        assert [one.id for one in client.files.list()] == [shown.id]
        assert [one.id for one in client.batches.list()] == [made.id]
        assert sorted(asked(server)) == ["question 0", "question 1", "question 2"]

        job_id = made.id.removeprefix("batch_")
        with Store.open(state) as store:
            job = store.job(job_id)
            assert kinds.kind_of(job.spec) == kinds.BATCH and job.title == "requests.jsonl"
        with pytest.raises(openai.BadRequestError, match="cannot be cancelled"):
            client.batches.cancel(made.id)
        assert client.files.delete(shown.id).deleted
        with pytest.raises(openai.NotFoundError):
            client.files.content(shown.id)
        assert list(client.files.list()) == []


@pytest.mark.promise
def test_wrong_lines_make_a_batch_that_failed(
    state: StateDir, tmp_path: Path, until: Until
) -> None:
    """It says of each line what is wrong; no request is sent. The same for lines that are too
    long, and for a file that is empty."""
    good = request("a", "x")
    wrong = [good, request("a", "y"), {"custom_id": "c"}, request("d", "z", max_tokens=-1)]
    other = {**request("e", "x"), "url": "/v1/embeddings"}
    with served(state, tmp_path, "--window", "2000") as (client, server):
        failed = create(client, upload(client, *wrong, other))
        too_long = create(client, upload(client, good, request("b", "x " * 9000)))
        empty = create(client, upload(client, *[]))
        done = ended(client, until, failed.id)
        assert done.status == "failed" and done.failed_at and not done.output_file_id
        assert done.errors is not None and done.errors.data is not None and not done.error_file_id
        found = [(one.line, one.code, one.param) for one in done.errors.data]
        assert found[0] == (2, "duplicate_custom_id", "custom_id")
        assert (3, "invalid_method", "method") in found
        assert (3, "missing_required_parameter", "url") in found
        assert any(line == 4 and param == "body" for line, _, param in found)
        assert found[-1] == (5, "invalid_url", "url")
        assert all(one.message for one in done.errors.data)

        done = ended(client, until, too_long.id)
        assert done.errors is not None and done.errors.data is not None
        assert [(one.line, one.code) for one in done.errors.data] == [
            (2, "context_length_exceeded")
        ]
        assert "2,000" in (done.errors.data[0].message or "")
        done = ended(client, until, empty.id)
        assert done.status == "failed" and done.errors is not None
        assert [one.code for one in done.errors.data or ()] == ["empty_file"]
        assert asked(server) == []
        # A retry from the command line checks the same file again.
        with Successions.open(state) as store:
            old = store.job(failed.id.removeprefix("batch_"))
            new, is_new = batch_retry.retry(store, old)
        access.ensure_runner(state)
        assert is_new and until(lambda: _outcome(state, new.id)) is Outcome.FAILED


def _outcome(state: StateDir, job_id: str) -> Outcome | None:
    with Store.open(state) as store:
        return store.job(job_id).outcome


@pytest.mark.promise
def test_a_cancelled_batch_gives_what_it_has(state: StateDir, tmp_path: Path, until: Until) -> None:
    """And what it has not got, line by line; a retry of the command line goes on with it."""
    with served(state, tmp_path, "--max-running", "1") as (client, server):
        server.hold()
        server.step(22)  # two of the five, and some words of the third
        made = create(client, upload(client, *(request(f"q{n}", f"{n}?") for n in range(5))))

        def has_answers() -> bool:
            counts = client.batches.retrieve(made.id).request_counts
            return bool(counts.completed >= 2)

        until(has_answers)
        assert client.batches.retrieve(made.id).status == "in_progress"
        assert client.batches.cancel(made.id).status in ("cancelling", "cancelled")
        server.let_go()
        done = ended(client, until, made.id)
        assert done.status == "cancelled" and done.cancelling_at and done.cancelled_at
        assert client.batches.cancel(made.id).status == "cancelled"  # twice is once
        counts = done.request_counts
        assert counts is not None and counts.total == 5 and counts.failed == 0
        answers = lines_of(client, done.output_file_id)
        errors = lines_of(client, done.error_file_id)
        assert len(answers) == counts.completed and answers.keys() | errors.keys() == {
            f"q{n}" for n in range(5)
        }
        assert not answers.keys() & errors.keys()
        for line in errors.values():
            assert line["response"] is None and line["error"]["code"] == "batch_cancelled"

        with Successions.open(state) as store:
            batch_retry.retry(store, store.job(made.id.removeprefix("batch_")))
        access.ensure_runner(state)
        done = ended(client, until, made.id)
        assert done.status == "completed" and done.error_file_id is None
        assert len(lines_of(client, done.output_file_id)) == 5
        times = [text for text in asked(server) if text in {f"{name[1:]}?" for name in answers}]
        assert len(times) == len(answers)


def test_what_is_refused_stores_nothing(state: StateDir, tmp_path: Path) -> None:
    with served(state, tmp_path) as (client, _):
        file_id = upload(client, request("a", "x"))
        other = client.files.create(file=("a.txt", b"x"), purpose="user_data").id
        good = {"input_file_id": file_id, "endpoint": CHAT, "completion_window": "24h"}
        for change, param in (
            ({"input_file_id": other}, "input_file_id"),
            ({"input_file_id": 7}, "input_file_id"),
            ({"endpoint": "/v1/embeddings"}, "endpoint"),
            ({"completion_window": "1h"}, "completion_window"),
            ({"metadata": {"a": 1}}, "metadata"),
            ({"metadata": {str(n): "x" for n in range(17)}}, "metadata"),
            ({"output_expires_after": {"anchor": "created_at", "seconds": 1}}, None),
        ):
            with pytest.raises(openai.BadRequestError) as caught:
                client.batches.create(**{**good, **change})
            assert caught.value.param == (param or "output_expires_after[seconds]")
        for wrong in ("file-none", "../../etc/passwd", "file-\x00", "file-é"):
            with pytest.raises(openai.NotFoundError) as missing:
                client.batches.create(**{**good, "input_file_id": wrong})
            assert missing.value.param == "input_file_id"
        for wrong in ("batch_none", "batch_..%2f", "batch_\x00"):
            with pytest.raises(openai.NotFoundError):
                client.batches.retrieve(wrong)
            with pytest.raises(openai.NotFoundError):
                client.batches.cancel(wrong)
        assert client.batches.list().data == []
        with pytest.raises(openai.NotFoundError):
            client.batches.list(after="batch_none")
        with pytest.raises(openai.BadRequestError):
            client.batches.list(limit=101)


@pytest.mark.promise
def test_the_same_request_is_the_same_batch(state: StateDir, tmp_path: Path, until: Until) -> None:
    """By its Idempotency-Key, and as the SDK's own retry. Without either it is another one; the
    list has pages."""
    with served(state, tmp_path) as (client, _):
        file_id = upload(client, request("a", "x"))
        key = {"extra_headers": {"Idempotency-Key": "night 1"}}
        first = create(client, file_id, **key)
        assert create(client, file_id, **key).id == first.id
        with pytest.raises(openai.ConflictError):
            create(client, upload(client, request("b", "y")), **key)
        second = create(client, file_id)
        again = create(client, file_id, extra_headers={"x-stainless-retry-count": "1"})
        assert again.id in (first.id, second.id)
        third = create(client, file_id)
        ids = [third.id, second.id, first.id]
        assert [one.id for one in client.batches.list(limit=2)] == ids  # it fetches on
        page = client.batches.list(limit=2)
        assert page.has_more and [one.id for one in page.data] == ids[:2]
        for one in ids:
            assert ended(client, until, one).status == "completed"
        # Its client has seen the end of all of them.
        later = create(client, file_id, extra_headers={"x-stainless-retry-count": "1"})
        assert later.id not in ids
        assert create(client, file_id, **key).id == first.id


@pytest.mark.promise
def test_a_killed_gateway_loses_no_batch(state: StateDir, tmp_path: Path, until: Until) -> None:
    """`kill -9` right after the answer: the batch is checked and run without a gateway."""
    with fake_sglang(tmp_path, *WINDOWED) as server:
        with gateway(state, server.url) as one:
            client = one.client()
            made = create(client, upload(client, request("a", "x"), request("b", "y")))
            one.kill()
        until(lambda: _outcome(state, made.id.removeprefix("batch_")))
        with gateway(state, server.url) as one:
            client = one.client()
            done = client.batches.retrieve(made.id)
            assert done.status == "completed"
            assert set(lines_of(client, done.output_file_id)) == {"a", "b"}


@pytest.mark.promise
def test_responses_in_a_batch_are_response_objects(
    state: StateDir, tmp_path: Path, until: Until
) -> None:
    """Their lines are those of /v1/responses; a line that is none is named."""

    def line(name: str, **body: Any) -> dict[str, Any]:
        whole = {"model": "m", "input": f"{name}?", "max_output_tokens": 8, **body}
        return {"custom_id": name, "method": "POST", "url": "/v1/responses", "body": whole}

    good = [line("a"), line("b", instructions="Be brief.", metadata={"x": "y"})]
    wrong = [*good, line("c", stream=True), line("d", input=7), request("e", "x")]
    with served(state, tmp_path) as (client, server):
        options = {"endpoint": "/v1/responses", "completion_window": "24h"}
        failed = client.batches.create(input_file_id=upload(client, *wrong), **options)
        made = client.batches.create(input_file_id=upload(client, *good), **options)
        done = ended(client, until, failed.id)
        assert done.status == "failed" and done.errors is not None
        assert [(one.line, one.param) for one in done.errors.data or ()] == [
            (3, "body.stream"),
            (4, "body.input"),
            (5, "url"),
        ]
        done = ended(client, until, made.id)
        assert done.status == "completed" and done.endpoint == "/v1/responses"
        found = lines_of(client, done.output_file_id)
        for name in ("a", "b"):
            answer = Response.model_validate(found[name]["response"]["body"])
            assert answer.status in ("completed", "incomplete") and answer.output_text
            assert answer.usage is not None and answer.usage.output_tokens == 8
        assert sorted(asked(server)) == ["a?", "b?"]
        (system,) = {
            one["messages"][0]["content"]
            for one in server.requests()
            if one["messages"][0]["role"] in ("system", "developer")
        }
        assert system == "Be brief."
