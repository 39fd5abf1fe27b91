"""The lines of a batch's file as requests of /v1/chat/completions: what ktjob's batches send."""

from __future__ import annotations

import json

from jobs import parsing
from ktclient.batch.file import Problem
from ktclient.gateway.responses import request_body as response_body
from ktclient.gateway.responses.request_body import ResponseRequest, Sources
from ktclient.gateway.wire.errors import ApiError
from ktclient.request import body as request_body
from ktclient.wording import quote

CHAT, RESPONSES = request_body.URL, "/v1/responses"
ENDPOINTS = (CHAT, RESPONSES)
"""What a batch may be for."""
_MOST_LEVELS = 400
_MOST_WRONG = 1000
"""So many wrong lines are kept; the batch fails with one."""


def as_chats(body: bytes, endpoint: str, sources: Sources) -> tuple[bytes, list[Problem]]:
    """The same lines for /v1/chat/completions, and what is wrong with those that cannot be
    requests of `endpoint`: they are empty then. A line that is no JSON stays as it is: the check of
    the batch says so, as it does of everything else."""
    if endpoint == CHAT:
        return body, []
    lines: list[bytes] = []
    wrong: list[Problem] = []
    for number, raw in enumerate(body.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        found = _as_chat(number, raw, sources)
        lines.append(found if isinstance(found, bytes) else b"")
        if isinstance(found, Problem) and len(wrong) < _MOST_WRONG:
            wrong.append(found)
    return b"\n".join(lines), wrong


def first_model(body: bytes) -> str | None:
    """The model that the first line names; None if there is none, or no such line."""
    first = next((line for line in body.split(b"\n", 100) if line.strip()), b"")
    try:
        found = parsing.of_json(first.decode("utf-8-sig"), levels=_MOST_LEVELS)
    except ValueError:
        return None
    model = found["body"].get("model") if _has_body(found) else None
    return model if isinstance(model, str) else None


def _has_body(found: object) -> bool:
    return isinstance(found, dict) and isinstance(found.get("body"), dict)


def _as_chat(number: int, raw: bytes, sources: Sources) -> bytes | Problem:
    try:
        found = parsing.of_json(raw.decode(), levels=_MOST_LEVELS)
    except ValueError:
        return raw
    if not isinstance(found, dict):
        return raw
    url, body = found.get("url"), found.get("body")
    if url != RESPONSES:
        words = "missing" if url is None else quote(json.dumps(url)[:100])
        return Problem(number, f"url is {words}; it must be {RESPONSES}", "invalid_url", "url")
    if not isinstance(body, dict):
        return Problem(number, "body is not a JSON object", param="body")
    for name in ("stream", "background"):
        if body.get(name):
            words = f"body.{name} must be false or missing: answers come in a file"
            return Problem(number, words, param=f"body.{name}")
    try:
        asked = response_body.asked(ResponseRequest(body, False, False), sources)
    except ApiError as error:
        param = f"body.{error.param}" if error.param else "body"
        return Problem(number, error.message, error.code or "invalid_request", param)
    chat = {**found, "url": CHAT, "body": asked.body.fields}
    return json.dumps(chat, ensure_ascii=False).encode("utf-8", "surrogatepass")
