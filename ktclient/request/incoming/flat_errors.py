"""Whether a JSON object of an answer is an error, whatever its shape.

OpenAI nests errors under "error", which its library looks for. sglang's are flat, FastAPI's stand
under "detail", Cloudflare's are a list under "errors"; OpenRouter's may lie in a choice; some are
known only by the name of their event.
"""

from __future__ import annotations

from typing import Any

from ktclient.request import error_bodies

_CODES = ("code", "status", "status_code", "type")
_NAMES = ("Error", "ErrorCode", "error_msg", "error_message", "errorMessage", "error_code")
"""Fields of errors in AWS's, Baidu's and other dialects."""


def error_of(value: dict[str, Any], event: str = "") -> object:
    """The error as OpenAI would nest it: an object, a list or words; None if it is no error.
    `event` is the name of its event."""
    error = value.get("error")
    if _says_something(error):
        return _with_codes(error, value)
    groq = value.get("x_groq")
    if isinstance(groq, dict) and _says_something(groq.get("error")):
        return groq["error"]
    choices = value.get("choices")
    if isinstance(choices, list) and choices:
        return _of_choice(choices[0])
    return value if value and _is_flat_error(value, event) else None


def _of_choice(choice: object) -> object:
    held = (choice, choice.get("delta")) if isinstance(choice, dict) else ()
    found = (one.get("error") for one in held if isinstance(one, dict))
    return next(filter(_says_something, found), None)


def _says_something(error: object) -> bool:
    """Whether there is an error: some servers send the field always, with nothing in it."""
    if isinstance(error, dict):
        return any(error.values())
    return bool(error)


def is_error_event(event: str) -> bool:
    """Whether events of this name report errors."""
    return "error" in event.lower() or event.lower() in ("fail", "failed", "failure", "exception")


def _is_flat_error(value: dict[str, Any], event: str) -> bool:
    if value.get("success") is False or value.get("ok") is False:
        return bool(error_bodies.words(value))
    kinds = (value.get("object"), value.get("type"), value.get("status"), event)
    if any(isinstance(kind, str) and is_error_event(kind) for kind in kinds):
        return True
    if any(value.get(name) for name in _NAMES):
        return True
    if value.get("detail") or value.get("errors"):
        return bool(error_bodies.words(value))
    return error_bodies.status(value) is not None and bool(error_bodies.words(value))


def _with_codes(error: object, outer: dict[str, Any]) -> object:
    """With the codes that stand beside the error instead of in it."""
    codes = {name: outer[name] for name in _CODES if isinstance(outer.get(name), (str, int))}
    if isinstance(error, dict):
        return {**codes, **error}
    words = error_bodies.words({**outer, "error": error})
    if isinstance(error, int) and not isinstance(error, bool):
        return {"code": error, **codes, "message": words or str(error)}
    if isinstance(error, (str, list)) and not codes and words == error_bodies.words(error):
        return error
    return {**codes, "message": words}
