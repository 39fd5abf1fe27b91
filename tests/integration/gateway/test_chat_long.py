"""Chats that take longer than anybody waits in silence."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import openai
import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support.gateway import LOOK_SECONDS, Serving, gateway
from support.patience import HANG_SECONDS

from jobs.model import Outcome
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir

ANSWER = "One two three."
BODY = {"model": "DeepSeek-V4-Flash", "messages": [{"role": "user", "content": "How many?"}]}
CHATS = "/v1/chat/completions"
TIMES = ("--quick-seconds", "0.3", "--comment-seconds", "0.1", "--progress-seconds", "0.4")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    with fake_sglang(tmp_path, "--answer", ANSWER) as server:
        server.hold()
        yield server


@pytest.fixture
def serving(state: StateDir, server: FakeServer) -> Iterator[Serving]:
    with gateway(state, server.url, *TIMES) as one:
        yield one


@pytest.fixture
def patient(state: StateDir, server: FakeServer) -> Iterator[Serving]:
    """Another one in the same state directory: no answer begins before it has all headers."""
    with gateway(state, server.url) as one:
        yield one


@contextmanager
def post(one: Serving, body: dict[str, object], **headers: str) -> Iterator[httpx2.Response]:
    """A request whose answer is not read yet; at the end the client goes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with (
        httpx2.Client(timeout=HANG_SECONDS) as client,
        client.stream("POST", one.url + CHATS, json=body, headers=named) as answer,
    ):
        yield answer


def event_of(state: StateDir, job_id: str, *kinds: str) -> None:
    """Wait for one of these events of a job."""
    end = time.monotonic() + HANG_SECONDS
    with HttpStore.open(state) as store:
        while all(event.kind not in kinds for event in store.events(job_id)):
            assert time.monotonic() < end, f"there is no {kinds}"
            time.sleep(LOOK_SECONDS)


def first_of(answer: httpx2.Response) -> str:
    """The id of the job that a stream is about, as its first event says it."""
    line = next(line for line in answer.iter_lines() if line.startswith("data: {"))
    chunk = json.loads(line[6:])
    assert chunk["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    return str(chunk["id"].removeprefix("chatcmpl-"))


def accepted(state: StateDir, count: int) -> str:
    """The job of the request that came as number `count`, from 1; waits for it."""
    end = time.monotonic() + HANG_SECONDS
    with HttpStore.open(state) as store:
        while len(found := store.requests_of(None, "chat", count)) < count:
            assert time.monotonic() < end, "it was not accepted"
            time.sleep(LOOK_SECONDS)
    return found[-1].job_id


def words_of(text: str) -> str:
    """All text in the events of a stream."""
    chunks = (json.loads(one[6:]) for one in text.splitlines() if one.startswith("data: {"))
    return "".join(one["choices"][0]["delta"].get("content", "") for one in chunks)


def job_when(state: StateDir, job_id: str, *outcomes: Outcome) -> None:
    """Wait until a job has ended so."""
    end = time.monotonic() + HANG_SECONDS
    with HttpStore.open(state) as store:
        while (found := store.job(job_id).outcome) is None and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
        assert found in outcomes


@pytest.mark.promise
def test_a_stream_is_never_silent(serving: Serving, server: FakeServer) -> None:
    with post(serving, {**BODY, "stream": True}) as answer:
        lines = answer.iter_lines()
        seen, progress = [], []
        for line in lines:
            seen.append(line)
            chunk = json.loads(line[6:]) if line.startswith("data: {") else {}
            progress += [chunk] if "ktjob" in chunk else []
            if len(progress) == 3 and seen.count(": ktjob") > 3:
                break
        assert not any(line.startswith(("id:", "retry:", "event:")) for line in seen)
        assert all(one["choices"][0]["delta"] == {} for one in progress)
        assert all(one["ktjob"]["phase"] for one in progress)
        server.let_go()
        assert words_of("\n".join(lines)) == ANSWER


def test_a_plain_answer_begins_with_spaces(serving: Serving, server: FakeServer) -> None:
    with post(serving, BODY) as answer:
        assert answer.status_code == 200
        parts = answer.iter_raw()
        assert b"".join(next(parts) for _ in range(3)).isspace()
        server.let_go()
        found = json.loads(b"".join(parts))
    assert found["choices"][0]["message"]["content"] == ANSWER


@pytest.mark.promise
def test_the_same_request_again_attaches(
    serving: Serving, patient: Serving, server: FakeServer, state: StateDir
) -> None:
    """By its key, or because the client says that it repeats it: one job, one prefill."""
    key = {"idempotency_key": "mine"}
    streamed = {**BODY, "stream": True}
    with post(serving, streamed, **key) as first:
        job_id = first_of(first)
    with post(serving, streamed, **key) as again:
        assert first_of(again) == job_id
    with post(serving, BODY):
        plain_id = accepted(state, 2)
    with post(serving, BODY, x_stainless_retry_count="1") as repeated:
        server.let_go()
        assert repeated.read().strip().startswith(b'{"id":"chatcmpl-' + plain_id.encode())
    job_when(state, job_id, Outcome.SUCCEEDED)
    with post(patient, streamed, **key) as whole:
        assert whole.headers["x-ktjob-id"] == job_id
        assert whole.headers["x-ktjob-attached"] == "1"
        assert words_of(whole.read().decode()) == ANSWER
    assert len(server.requests()) == 2
    with post(patient, {**BODY, "seed": 1}, **key) as other:
        assert other.status_code == 409
        assert other.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("path", [CHATS, "/v1/responses"])
def test_a_long_answer_that_may_be_lost_is_given_again(
    patient: Serving, server: FakeServer, state: StateDir, path: str
) -> None:
    """What was written to a connection may have reached nobody. A short answer is made anew."""
    server.let_go()
    body = BODY if path == CHATS else {"model": BODY["model"], "input": "How many?"}
    repeated = {"x-stainless-retry-count": "1"}

    def asked(one: Serving, headers: dict[str, str]) -> str:
        answer = httpx2.post(one.url + path, json=body, headers=headers, timeout=HANG_SECONDS)
        assert answer.status_code == 200
        return answer.headers["x-ktjob-id"]

    first = asked(patient, {})
    end = time.monotonic() + HANG_SECONDS
    with HttpStore.open(state) as store:
        while (found := store.request(first)) is None or found.delivered_at is None:
            assert time.monotonic() < end, "it was not delivered"
            time.sleep(LOOK_SECONDS)
    long = {"ktclient.gateway.accept.CHEAP_SECONDS": 0.0}
    with gateway(state, server.url, constants=long) as other:
        assert asked(other, repeated) == first
        assert asked(other, {}) != first
    assert asked(patient, repeated) != first


@pytest.mark.promise
@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_job_ends_with_its_client_only_if_asked(
    serving: Serving, server: FakeServer, state: StateDir, is_streamed: bool
) -> None:
    body = {**BODY, "stream": is_streamed}
    with post(serving, body):
        stays = accepted(state, 1)
    with post(serving, body, x_ktjob_cancel_on_disconnect="1"):
        goes = accepted(state, 2)
    event_of(state, goes, "abort", "finished")
    # Before, nobody could see that the server stopped.
    server.let_go()
    job_when(state, goes, Outcome.CANCELLED)
    job_when(state, stays, Outcome.SUCCEEDED)


@pytest.mark.promise
def test_a_failure_after_the_headers_cuts_and_the_next_one_has_its_status(
    serving: Serving, patient: Serving, server: FakeServer, state: StateDir
) -> None:
    with post(serving, BODY) as answer:
        job_id = accepted(state, 1)
        server.wait_for_event("prefill_started")
        with HttpStore.open(state) as store:
            store.request_cancel(job_id)
        event_of(state, job_id, "abort")
        server.let_go()
        with pytest.raises(httpx2.RemoteProtocolError):
            answer.read()
    job_when(state, job_id, Outcome.CANCELLED)
    with pytest.raises(openai.ConflictError) as caught:
        patient.client().chat.completions.create(
            **BODY,  # type: ignore[call-overload]
            extra_headers={"x-stainless-retry-count": "1"},
        )
    assert caught.value.code == "cancelled"
    assert caught.value.response.headers["x-ktjob-id"] == job_id
    for one in (serving, patient):
        assert "Traceback" not in one.log.read_text(encoding="utf-8")
