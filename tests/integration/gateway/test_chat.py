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

pytestmark = pytest.mark.each_python

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
        yield one.client()


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
    assert "chat_template_kwargs" not in sent  # whether to think is the server's default

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


@pytest.mark.promise
def test_bad_input_names_its_field_and_stores_nothing(client: OpenAI, state: StateDir) -> None:
    usual = {"model": MODEL, "messages": [{"role": "user", "content": "x"}]}
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    pairs = {f"k{n}": "v" for n in range(17)}
    too_long = [{"role": "user", "content": "word " * 1_100_000}]
    for fields, status, param, code in (
        ({"n": 2}, 400, "n", "invalid_value"),
        ({"logprobs": True}, 400, "logprobs", "invalid_value"),
        ({"messages": []}, 400, "messages", "invalid_value"),
        (
            {"messages": [{"role": "user", "content": [image]}]},
            400,
            "messages[0].content[0]",
            "invalid_value",
        ),
        ({"temperature": "hot"}, 400, "temperature", "invalid_type"),
        ({"metadata": pairs}, 400, "metadata", "object_above_max_properties"),
        ({"audio": {"voice": "a"}}, 400, "audio", "unsupported_value"),
        ({"model": "gpt-unheard-of"}, 404, "model", "model_not_found"),
        ({"messages": too_long}, 400, "messages", "context_length_exceeded"),
        ({"messages": too_long, "stream": True}, 400, "messages", "context_length_exceeded"),
    ):
        with pytest.raises(openai.APIStatusError) as caught:
            client.chat.completions.create(**{**usual, **fields})  # type: ignore[call-overload]
        error = caught.value
        assert (error.status_code, error.param, error.code) == (status, param, code)
        assert error.response.headers["x-should-retry"] == "false"
    with HttpStore.open(state) as store:
        assert store.last_event() == 0


def test_stored_completions_are_listed_changed_and_deleted(client: OpenAI, state: StateDir) -> None:
    chats = client.chat.completions
    made = [
        chats.create(
            model="default",
            messages=[{"role": "user", "content": f"How many, {n}?"}],
            metadata={"n": str(n)},
        )
        for n in range(3)
    ]
    ids = [one.id for one in made]
    assert chats.retrieve(ids[0]).choices == made[0].choices
    assert [one.id for one in chats.list(limit=2)] == ids
    assert [one.id for one in chats.list(limit=1, order="desc")] == ids[::-1]
    for limit in ("0", "101", "x", "000000001" + "0" * 5000):
        with pytest.raises(openai.BadRequestError) as caught:
            chats.list(extra_query={"limit": limit})
        assert caught.value.param == "limit"
    assert [one.id for one in chats.list(metadata={"n": "1"})] == [ids[1]]
    assert [one.content for one in chats.messages.list(ids[2])] == ["How many, 2?"]
    assert chats.update(ids[1], metadata={"a": "b"}).metadata == {"a": "b"}
    assert chats.delete(ids[1]).deleted
    with pytest.raises(openai.NotFoundError):
        chats.retrieve(ids[1])
    assert [one.id for one in chats.list()] == [ids[0], ids[2]]


@pytest.mark.promise
def test_what_must_not_be_stored_is_deleted_after_delivery(client: OpenAI, state: StateDir) -> None:
    question = {"role": "user", "content": "How many?"}
    chats = client.chat.completions
    whole = chats.create(model=MODEL, messages=[question], store=False)
    streamed = list(chats.create(model=MODEL, messages=[question], store=False, stream=True))
    with HttpStore.open(state) as store:
        for one in (whole, streamed[0]):
            job_id = job_of(one.id)
            wait_until(lambda job_id=job_id: not store.exists(job_id))
