"""/v1/chat/completions as openai-python uses it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import openai
import pytest
from fake_sglang.process import FakeServer, fake_sglang
from openai import OpenAI
from support.gateway import LOOK_SECONDS, gateway
from support.patience import HANG_SECONDS

from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir

MODEL = "DeepSeek-V4-Flash"


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + HANG_SECONDS
    while not is_so():
        assert time.monotonic() < end, "it never became so"
        time.sleep(LOOK_SECONDS)


def job_of(completion_id: str) -> str:
    return completion_id.removeprefix("chatcmpl-")


def is_delivered(store: HttpStore, job_id: str) -> bool:
    request = store.request(job_id)
    return request is not None and request.delivered_at is not None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    with fake_sglang(tmp_path, "--answer", "One two three.") as server:
        yield server


@pytest.fixture
def client(state: StateDir, server: FakeServer) -> Iterator[OpenAI]:
    with gateway(state, server.url) as one:
        yield OpenAI(base_url=f"{one.url}/v1", api_key="any", max_retries=0)


def test_a_chat_is_answered_plain_and_streamed(
    client: OpenAI, state: StateDir, server: FakeServer
) -> None:
    question = {"role": "user", "content": "How many?"}
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=[question], metadata={"a": "b"}, store=True
    )
    whole = raw.parse()
    assert whole.choices[0].message.content == "One two three."
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None and whole.usage.completion_tokens == 3
    assert whole.id == f"chatcmpl-{raw.headers['x-ktjob-id']}"
    sent = server.requests()[0]
    assert not {"store", "metadata"} & sent.keys()  # OpenAI's bookkeeping

    chunks = list(
        client.chat.completions.create(
            model=MODEL,
            messages=[question],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    first, *middle, end, usage = chunks
    assert len({(one.id, one.created, one.model, one.object) for one in chunks}) == 1
    assert first.choices[0].delta.role == "assistant"
    assert "".join(one.choices[0].delta.content or "" for one in middle) == "One two three."
    assert end.choices[0].finish_reason == "stop"
    assert usage.choices == [] and usage.usage is not None
    with HttpStore.open(state) as store:
        for one in (whole, first):
            wait_until(partial(is_delivered, store, job_of(one.id)))


@pytest.mark.parametrize(("fields", "param"), [({"n": 2}, "n"), ({"messages": []}, "messages")])
def test_bad_input_names_its_field_and_stores_nothing(
    client: OpenAI, state: StateDir, fields: dict[str, object], param: str
) -> None:
    usual = {"model": MODEL, "messages": [{"role": "user", "content": "x"}]}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{**usual, **fields})  # type: ignore[call-overload]
    assert caught.value.param == param
    with HttpStore.open(state) as store:
        assert store.last_event() == 0
