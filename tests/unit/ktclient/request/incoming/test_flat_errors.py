"""Errors inside an answer, whatever their shape; and what only looks like one."""

from __future__ import annotations

from typing import Any

import pytest

from ktclient.request import error_bodies
from ktclient.request.incoming import flat_errors

ERRORS: list[tuple[dict[str, Any], str, int | None]] = [
    ({"error": {"message": "words", "code": 503}}, "", 503),
    ({"error": "words"}, "", None),
    ({"error": "words", "status": 429}, "", 429),
    ({"error": True, "message": "words", "code": "400"}, "", 400),
    ({"error": {"message": "words"}, "status_code": 429}, "", 429),
    ({"object": "error", "message": "words", "type": "BadRequestError", "code": 400}, "", 400),
    ({"type": "error", "message": "words"}, "", None),
    ({"type": "error", "error": {"type": "overloaded_error", "message": "words"}}, "", 503),
    ({"type": "server_error", "message": "words"}, "", 500),
    ({"detail": "words"}, "", None),
    ({"detail": [{"loc": ["body"], "msg": "words"}]}, "", None),
    ({"success": False, "errors": [{"code": 1000, "message": "words"}]}, "", None),
    ({"status": 429, "message": "words"}, "", 429),
    ({"code": "RESOURCE_EXHAUSTED", "msg": "words"}, "", 429),
    ({"message": "words"}, "error", None),
    ({"status": "error", "message": "words"}, "", None),
    ({"success": False, "msg": "words"}, "", None),
    ({"message": "words", "code": 500}, "response.failed", 500),
    ({"choices": [{"error": {"message": "words", "code": 502}, "delta": {}}]}, "", 502),
]
NONE: list[tuple[dict[str, Any], str]] = [
    ({}, ""),
    ({}, "error"),
    ({"error": None}, ""),
    ({"error": {}}, ""),
    ({"error": ""}, ""),
    ({"type": "ping"}, "ping"),
    ({"status": 200, "message": "working"}, ""),
    ({"status": "processing", "message": "queue position 3"}, "status"),
    ({"message": "waiting for a GPU"}, ""),
    ({"code": 0, "msg": "ok"}, ""),
    ({"detail": ""}, ""),
    ({"cost": "0.0012", "type": "cost"}, ""),
    ({"usage": {"prompt_tokens": 429}}, ""),
    ({"choices": [{"delta": {"content": "error"}}]}, "error"),
]


@pytest.mark.parametrize(("value", "event", "status"), ERRORS)
def test_an_error_is_known_and_keeps_its_words_and_codes(
    value: dict[str, Any], event: str, status: int | None
) -> None:
    found = flat_errors.error_of(value, event)
    assert found and "words" in error_bodies.words(found)
    assert error_bodies.status(found) == status


@pytest.mark.parametrize(("value", "event"), NONE)
def test_other_frames_are_none(value: dict[str, Any], event: str) -> None:
    assert flat_errors.error_of(value, event) is None
