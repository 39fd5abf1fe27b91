"""Which requests can be read in parts, and what is the document there."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.model import NewRequest
from ktclient.gateway import split_request
from ktclient.gateway.wire.errors import ApiError
from ktclient.prompts.tasks import Kind
from ktclient.request.body import Body
from ktclient.submission.chat_request import ChatOptions


def user(*texts: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


SYSTEM = {"role": "developer", "content": "Be brief."}


@pytest.mark.parametrize(
    ("messages", "text", "instruction", "system"),
    [
        ([user("a", "b", "Why?")], "a\n\nb", "Why?", None),
        ([SYSTEM, user("a", "Why?")], "a", "Why?", "Be brief."),
        ([SYSTEM, {"role": "user", "content": "a"}], "a", "Be brief.", None),
    ],
)
def test_the_instruction_is_the_last_text_or_the_system_prompt(
    messages: list[dict[str, Any]], text: str, instruction: str, system: str | None
) -> None:
    body = Body({"messages": messages, "temperature": 0.5, "max_tokens": 7})
    came_with = NewRequest("alice", "chat", "digest", {})
    options = ChatOptions(priority=3, request=came_with, submit_key="once")
    document, submit = split_request.of(body, options, "auto")
    assert (submit.http_request, submit.submit_key) == (came_with, "once")
    assert document.text == text and submit.priority == 3
    (task,) = submit.request.tasks
    assert (task.kind, task.text) == (Kind.PROMPT, instruction)
    manner = submit.request.generation
    assert (manner.system, manner.temperature) == (system, 0.5)
    assert (submit.request.max_tokens, submit.request.split) == (7, "auto")
    assert split_request.is_possible(body)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "user", "content": "only a document"}]}, "messages"),
        ({"messages": [user("a", "b"), {"role": "assistant", "content": "c"}]}, "messages"),
        ({"messages": [user("a", "b")], "tools": []}, "tools"),
        ({"messages": [user("a", "b")], "response_format": {}}, "response_format"),
    ],
)
def test_what_has_no_parts_is_refused_by_its_field(fields: dict[str, Any], param: str) -> None:
    assert not split_request.is_possible(Body(fields))
    with pytest.raises(ApiError) as refused:
        split_request.of(Body(fields), ChatOptions(), "auto")
    assert (refused.value.status, refused.value.param) == (400, param)
    assert split_request.HEADER in refused.value.message


def test_the_header_is_auto_or_tokens() -> None:
    def wanted(text: str) -> object:
        return split_request.wanted({split_request.HEADER: text})

    assert split_request.wanted({}) is None and wanted("never") is None
    assert wanted("auto") == "auto" and wanted("50000") == 50_000
    for wrong in ("", "AUTO", "-1", "0", "1e3", "\uff19", "9" * 30):
        with pytest.raises(ApiError, match=split_request.HEADER):
            wanted(wrong)
