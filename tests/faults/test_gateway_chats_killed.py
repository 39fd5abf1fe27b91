"""kill -9 around a streamed chat: of the gateway, the runner, the worker, and the server."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from fake_sglang.process import FakeServer, fake_sglang
from openai import Stream
from openai.types.chat import ChatCompletionChunk
from support.gateway import Serving, gateway

from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir

ANSWER = "One two three four five."


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    with fake_sglang(tmp_path, "--answer", ANSWER) as server:
        server.hold()
        yield server


def ask(one: Serving, key: str) -> Stream[ChatCompletionChunk]:
    return one.client().chat.completions.create(
        model="DeepSeek-V4-Flash",
        messages=[{"role": "user", "content": "How many?"}],
        stream=True,
        extra_headers={"Idempotency-Key": key},
    )


def first_words(stream: Stream[ChatCompletionChunk], server: FakeServer) -> tuple[str, str]:
    """Let the server say two words, and read the first of them; the job's id, and the text."""
    first = next(stream)
    server.wait_for_event("prefill_started")
    server.step(3)
    text = ""
    while not text:
        text = next(stream).choices[0].delta.content or ""
    return first.id.removeprefix("chatcmpl-"), text


def rest_of(stream: Stream[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


@pytest.mark.promise
def test_of_the_gateway(state: StateDir, server: FakeServer) -> None:
    """The client sees a cut, not an end. The same request again gets all words of the same job."""
    with gateway(state, server.url) as one:
        stream = ask(one, "a")
        job_id, _ = first_words(stream, server)
        one.kill()
        with pytest.raises(openai.APIConnectionError):
            rest_of(stream)
    with gateway(state, server.url, port=one.port) as again:
        stream = ask(again, "a")
        assert next(stream).id == f"chatcmpl-{job_id}"
        server.let_go()
        assert rest_of(stream) == ANSWER
    assert len(server.requests()) == 1


@pytest.mark.promise
def test_of_the_runner_and_of_the_worker(
    state: StateDir, server: FakeServer, kill_runner: Callable[[], int]
) -> None:
    """The stream goes on. The second attempt says the same, so the client sees each word once."""
    with gateway(state, server.url) as one:
        stream = ask(one, "b")
        job_id, text = first_words(stream, server)
        kill_runner()
        with HttpStore.open(state) as store:
            attempt = store.attempt(store.job(job_id))
        assert attempt is not None
        os.kill(attempt.worker.pid, signal.SIGKILL)
        server.let_go()
        assert text + rest_of(stream) == ANSWER
        with HttpStore.open(state) as store:
            assert store.job(job_id).attempt == 2
    assert len(server.requests()) == 2


def test_of_the_server_that_then_says_something_else(
    state: StateDir, server: FakeServer, tmp_path: Path
) -> None:
    """The client is told where the whole answer is; nothing is glued together."""
    with gateway(state, server.url) as one:
        stream = ask(one, "c")
        job_id, _ = first_words(stream, server)
        server.process.kill()
        server.process.wait()
        with fake_sglang(tmp_path, "--port", str(server.port), "--answer", "Another one."):
            with pytest.raises(openai.APIError) as caught:
                rest_of(stream)
            assert caught.value.code == "answer_started_again"
            assert f"/v1/chat/completions/chatcmpl-{job_id}" in str(caught.value)
            stream = ask(one, "c")
            assert rest_of(stream) == "Another one."
            whole = one.client().chat.completions.retrieve(f"chatcmpl-{job_id}")
            assert whole.choices[0].message.content == "Another one."
