"""Lines for /v1/responses as those of chats."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ktclient.batch import file as batch_file
from ktclient.gateway.batches import lines
from ktclient.gateway.responses.request_body import Sources


class NoSources:
    """Nothing that a line may refer to."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not asked for")


NONE: Sources = NoSources()  # type: ignore[assignment]


def line(name: str, url: object = lines.RESPONSES, **body: Any) -> bytes:
    whole = {"custom_id": name, "method": "POST", "url": url, "body": {"input": "hi", **body}}
    return json.dumps(whole).encode()


def test_chats_stay_as_they_are() -> None:
    assert lines.as_chats(b"anything", lines.CHAT, NONE) == (b"anything", [])


def test_responses_become_chats_line_by_line() -> None:
    """Numbers of lines stay; what is no JSON is left to the check of the batch."""
    given = b"\xef\xbb\xbf" + b"\n".join(
        [line("a", max_output_tokens=7, instructions="Short."), b"", b"{", line("b", input=[])]
    )
    body, wrong = lines.as_chats(given, lines.RESPONSES, NONE)
    found, problems = batch_file.examine(body)
    assert [one.number for one in found] == [1] and found[0].custom_id == "a"
    chat = json.loads(found[0].body)
    assert chat["max_tokens"] == 7 and [one["role"] for one in chat["messages"]] == [
        "system",
        "user",
    ]
    assert [(one.number, one.code) for one in problems] == [(3, "invalid_json_line")]
    assert [one.number for one in wrong] == [4] and (wrong[0].param or "").startswith("body")


@pytest.mark.parametrize(
    ("given", "param"),
    [
        (line("a", url="/v1/chat/completions"), "url"),
        (line("a", url=None), "url"),
        (line("a", url=["x"]), "url"),
        (line("a", stream=True), "body.stream"),
        (line("a", background=True), "body.background"),
        (line("a", max_output_tokens="x"), "body.max_output_tokens"),
        (b'{"custom_id": "a", "url": "/v1/responses", "body": 7}', "body"),
    ],
)
def test_a_line_that_is_no_response_is_named(given: bytes, param: str) -> None:
    body, wrong = lines.as_chats(given, lines.RESPONSES, NONE)
    assert body == b"" and [(one.number, one.param) for one in wrong] == [(1, param)]
    assert wrong[0].message


def test_the_first_line_names_the_model() -> None:
    assert lines.first_model(b"\n \n" + line("a", model="m") + b"\n" + line("b", model="n")) == "m"
    for none in (b"", b"{", b"[]", b'{"body": 7}', line("a"), line("a", model=7), b"\xff"):
        assert lines.first_model(none) is None
