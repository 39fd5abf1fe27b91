"""Objects of an answer as chunks of a chat completion."""

from __future__ import annotations

from typing import Any

import pytest

from ktclient.request.incoming.chunks import Chunks


def choice(**fields: Any) -> dict[str, Any]:
    return {"choices": [fields]}


SAME: list[dict[str, Any]] = [
    choice(delta={"role": "assistant", "content": ""}),
    choice(delta={"content": "x", "reasoning_content": "y", "more": 1}, index=3),
    choice(delta={"tool_calls": [{"function": {"arguments": "{}"}}]}, finish_reason=5),
    {"choices": [], "usage": {"prompt_tokens": 1}, "prompt_progress": {"total": 1}},
]


@pytest.mark.parametrize("value", SAME)
def test_a_chunk_stays_as_it_is(value: dict[str, Any]) -> None:
    assert Chunks().of(value) is value


@pytest.mark.parametrize(
    "value", [{}, {"choices": None}, {"type": "ping"}, {"choices": [None]}, {"choices": {}}]
)
def test_what_has_no_choices_has_none(value: dict[str, Any]) -> None:
    assert Chunks().of(value) == {**value, "choices": []}


@pytest.mark.parametrize(
    ("content", "delta"),
    [
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], {"content": "ab"}),
        (["a", {"text": "b"}, {"type": "output_text", "text": "c"}], {"content": "abc"}),
        ({"type": "text", "text": "a"}, {"content": "a"}),
        ([{"type": "text", "text": {"value": "a"}}], {"content": "a"}),
        (
            [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, "a"],
            {"content": "a", "reasoning_content": "hm"},
        ),
        ([{"type": "reasoning", "text": "hm"}], {"content": "", "reasoning_content": "hm"}),
        ([{"type": "refusal", "refusal": "no"}], {"content": "", "refusal": "no"}),
        ([{"type": "image_url", "image_url": {"url": "x"}}, None, 5], {"content": ""}),
        ([], {"content": ""}),
    ],
)
def test_parts_become_text(content: object, delta: dict[str, str]) -> None:
    assert Chunks().of(choice(delta={"content": content}))["choices"][0]["delta"] == delta


def test_thoughts_in_parts_become_text() -> None:
    value = choice(delta={"reasoning": [{"text": "h"}, {"text": "m"}], "content": "a"})
    assert Chunks().of(value)["choices"][0]["delta"] == {"reasoning": "hm", "content": "a"}


def test_parts_that_hold_parts_have_an_end() -> None:
    nested: Any = "x"
    for _ in range(1_000):
        nested = [nested]
    assert Chunks().of(choice(delta={"content": nested}))["choices"][0]["delta"]["content"] == ""


def said(*values: dict[str, Any]) -> str:
    chunks = Chunks()
    found = [chunks.of(value)["choices"][0]["delta"].get("content") or "" for value in values]
    return "".join(found)


def message(content: str, kind: str = "chat.completion", **more: Any) -> dict[str, Any]:
    return {"object": kind, "choices": [{"message": {"content": content}, **more}]}


def test_a_whole_message_is_said_once() -> None:
    """Alone, after its pieces, with each piece, or growing."""
    pieces = [choice(delta={"content": "Whole "}), choice(delta={"content": "answer."})]
    whole = message("Whole answer.")
    assert said(whole) == said(*pieces, whole) == said(message("Whole "), whole) == "Whole answer."
    growing = [message("Whole ", delta={"content": "Whole "})]
    growing.append(message("Whole answer.", delta={"content": "answer."}))
    assert said(*growing) == "Whole answer."
    kind = "chat.completion.chunk"
    assert said(message("la ", kind), message("la ", kind)) == "la la "


def test_only_a_whole_message_ends_an_answer() -> None:
    for value, is_whole in (
        (message("x"), True),
        (message("x", delta=None), True),
        (message("x", "chat.completion.chunk"), False),
        (message("x", delta={"content": "x"}), False),
        (choice(delta={"content": "x"}), False),
    ):
        chunks = Chunks()
        chunks.of(value)
        assert chunks.is_whole == is_whole, value


def test_calls_of_a_whole_message_get_an_index() -> None:
    calls = [{"id": "a"}, {"id": "b", "index": 7}]
    value = choice(message={"content": None, "tool_calls": calls})
    found = Chunks().of(value)["choices"][0]["delta"]["tool_calls"]
    assert found == [{"index": 0, "id": "a"}, {"index": 7, "id": "b"}]


def test_text_of_the_older_interface_is_content() -> None:
    assert said(choice(text="Whole "), choice(text="answer.", finish_reason="stop")) == (
        "Whole answer."
    )


def test_a_delta_that_is_text_is_content() -> None:
    """Nothing that was written may be missing from an answer."""
    assert said(choice(delta="Whole "), choice(delta=[{"text": "answer."}])) == "Whole answer."
    assert said(choice(message="Whole answer.")) == "Whole answer."


def test_counts_are_found_in_a_choice() -> None:
    counts = {"prompt_tokens": 1}
    assert Chunks().of(choice(delta={"content": "x"}, usage=counts))["usage"] == counts
    assert Chunks().of({"choices": [], "usage": "none"})["usage"] is None
