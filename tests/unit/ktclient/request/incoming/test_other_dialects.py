from __future__ import annotations

from typing import Any

import pytest

from ktclient.request.incoming.other_dialects import chunk_of


def said(value: dict[str, Any]) -> tuple[object, object, object]:
    """Text, thoughts and reason of the chunk."""
    chunk = chunk_of(value)
    assert chunk is not None
    (choice,) = chunk["choices"]
    delta = choice["delta"]
    return delta.get("content"), delta.get("reasoning_content"), choice["finish_reason"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "Hm"}},
            (None, "Hm", None),
        ),
        (
            {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}},
            (None, None, "max_tokens"),
        ),
        ({"type": "response.reasoning_text.delta", "delta": "Hm"}, (None, "Hm", None)),
        (
            {
                "type": "response.incomplete",
                "response": {"incomplete_details": {"reason": "max_output_tokens"}},
            },
            (None, None, "max_output_tokens"),
        ),
        (
            {"message": {"content": "A", "thinking": "Hm"}, "done": False},
            ("A", "Hm", None),
        ),
        ({"response": "A", "done": True, "done_reason": "length"}, ("A", None, "length")),
        ({"content": "A", "stop": True, "stop_type": "limit"}, ("A", None, "length")),
        ({"token": {"text": "</s>", "special": True}}, (None, None, None)),
    ],
)
def test_what_is_said_in_another_dialect_is_read(
    value: dict[str, Any], expected: tuple[object, object, object]
) -> None:
    assert said(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"choices": [], "response": "A"},
        {"type": "ping"},
        {"type": "message_start", "message": {"content": []}},
        {"type": "response.created", "response": {"status": "in_progress"}},
        {"status": "processing", "message": "queue position 3"},
        {"content": "A"},
        {"done": "yes"},
        {},
    ],
)
def test_anything_else_is_none(value: dict[str, Any]) -> None:
    assert chunk_of(value) is None
