"""Whether a JSON object of an answer is an error, whatever its shape.

OpenAI nests errors under "error", which its library looks for. sglang's are flat, FastAPI's stand
under "detail", Cloudflare's are a list under "errors"; OpenRouter's may lie in a choice; some are
known only by the name of their event.
"""

from __future__ import annotations

from typing import Any

from ktclient.request import error_bodies

_CODES = ("code", "status", "status_code", "type")


def error_of(value: dict[str, Any], event: str = "") -> object:
    """The error as OpenAI would nest it: an object, a list or words; None if it is no error.
    `event` is the name of its event."""
    if error := value.get("error"):
        return _with_codes(error, value)
    choices = value.get("choices")
    if isinstance(choices, list) and choices:
        first = choices[0]
        return (first.get("error") or None) if isinstance(first, dict) else None
    return value if value and _is_flat_error(value, event) else None


def is_error_event(event: str) -> bool:
    """Whether events of this name report errors."""
    return "error" in event.lower() or event.lower() in ("fail", "failed", "failure", "exception")


def _is_flat_error(value: dict[str, Any], event: str) -> bool:
    if value.get("success") is False or value.get("ok") is False:
        return bool(error_bodies.words(value))
    kinds = (value.get("object"), value.get("type"), value.get("status"), event)
    if any(isinstance(kind, str) and is_error_event(kind) for kind in kinds):
        return True
    if value.get("detail") or value.get("errors"):
        return bool(error_bodies.words(value))
    return error_bodies.status(value) is not None and bool(error_bodies.words(value))


def _with_codes(error: object, outer: dict[str, Any]) -> object:
    """With the codes that stand beside the error instead of in it."""
    codes = {name: outer[name] for name in _CODES if isinstance(outer.get(name), (str, int))}
    if isinstance(error, dict):
        return {**codes, **error}
    if isinstance(error, (str, list)) and not codes:
        return error
    message = error if isinstance(error, str) else outer.get("message") or error_bodies.words(error)
    return {**codes, "message": message}
