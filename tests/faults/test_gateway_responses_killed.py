"""kill -9 around a background response: of the gateway, the runner and the worker. What was
accepted can be retrieved, with each event from 0."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from fake_sglang.process import FakeServer, fake_sglang
from openai import Stream
from openai.types.responses import ResponseStreamEvent
from support.gateway import Serving, gateway

from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir

ANSWER = "One two three four five."
MODEL = "DeepSeek-V4-Flash"
DELTA = "response.output_text.delta"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    with fake_sglang(tmp_path, "--answer", ANSWER) as server:
        server.hold()
        yield server


def begun(one: Serving, server: FakeServer) -> Stream[ResponseStreamEvent]:
    """A background stream; the server says two words of its answer, and no more."""
    stream = one.client().responses.create(
        model=MODEL, input="How many?", background=True, stream=True
    )
    server.wait_for_event("prefill_started")
    server.step(3)
    return stream


def up_to_text(stream: Stream[ResponseStreamEvent]) -> list[ResponseStreamEvent]:
    events: list[ResponseStreamEvent] = []
    while not events or events[-1].type != DELTA:
        events.append(next(stream))
    return events


@pytest.mark.promise
def test_of_the_gateway(state: StateDir, server: FakeServer) -> None:
    """The client sees a cut, and goes on behind the last event that it has. A conversation goes on
    too: nothing of it was in the gateway's memory."""
    with gateway(state, server.url) as one:
        stream = begun(one, server)
        events = up_to_text(stream)
        one.kill()
        with pytest.raises(openai.APIConnectionError):
            events += list(stream)
    response_id = events[0].response.id  # type: ignore[union-attr]
    with gateway(state, server.url, port=one.port) as again:
        client = again.client()
        last = events[-1].sequence_number
        rest = client.responses.retrieve(response_id, stream=True, starting_after=last)
        server.let_go()
        events += list(rest)
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert list(client.responses.retrieve(response_id, stream=True)) == events
        assert events[-1].response.output_text == ANSWER  # type: ignore[union-attr]
        more = client.responses.create(model=MODEL, input="And?", previous_response_id=response_id)
        assert more.output_text == ANSWER
    assert len(server.requests()) == 2


@pytest.mark.promise
def test_of_the_runner_and_of_the_worker(
    state: StateDir, server: FakeServer, kill_runner: Callable[[], int]
) -> None:
    """The stream goes on. What the dead attempt said stays an item of its own, incomplete and
    without content: `output_text` is one answer."""
    with gateway(state, server.url) as one:
        stream = begun(one, server)
        events = up_to_text(stream)
        response_id = events[0].response.id  # type: ignore[union-attr]
        kill_runner()
        with HttpStore.open(state) as store:
            attempt = store.attempt(store.job(response_id.removeprefix("resp_")))
            assert attempt is not None
            os.kill(attempt.worker.pid, signal.SIGKILL)
        server.let_go()
        events += list(stream)
        final = events[-1].response  # type: ignore[union-attr]
        assert (final.status, final.output_text) == ("completed", ANSWER)
        dead, whole = final.output
        assert (dead.status, dead.content, whole.status) == ("incomplete", [], "completed")  # type: ignore[union-attr]
        assert [event.type for event in events].count("response.in_progress") >= 2
        assert list(one.client().responses.retrieve(response_id, stream=True)) == events
