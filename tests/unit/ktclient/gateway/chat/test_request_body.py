"""What becomes of the fields of a chat request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ktclient.gateway.chat import request_body
from ktclient.gateway.chat.request_body import ChatRequest
from ktclient.gateway.wire.errors import ApiError

USUAL: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


def parsed(**fields: Any) -> ChatRequest:
    return request_body.parse(json.dumps({**USUAL, **fields}).encode())


def test_the_bookkeeping_of_openai_is_kept_here() -> None:
    found = parsed(
        store=False,
        metadata={"a": "b"},
        service_tier="flex",
        prompt_cache_key="k",
        safety_identifier="s",
        stream=True,
        stream_options={"include_usage": True},
        temperature=0,
        user="u",
        own_field={"x": 1},
    )
    kept = {"model", "messages", "temperature", "user", "own_field"}
    assert set(found.asked.body.fields) == kept
    assert found.asked.fields == {"model": "m", "metadata": {"a": "b"}}
    assert (found.is_streamed, found.includes_usage, found.asked.is_stored) == (True, True, False)
    assert parsed(store=None).asked.is_stored and not parsed().is_streamed


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": True}, "n"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"model": 5}, "model"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"content": "x"}]}, "messages[0]"),
        ({"stream": "yes"}, "stream"),
        ({"tools": {}}, "tools"),
        ({"seed": True}, "seed"),
        ({"stop": 5}, "stop"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": {"k" * 65: "v"}}, "metadata"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        parsed(**fields)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        request_body.parse(raw)
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")
