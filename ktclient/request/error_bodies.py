"""The message in an error response's body, whatever its shape.

sglang: flat, `{"object": "error", "message": …}`. OpenAI, llama.cpp, vLLM: nested under "error".
sglang's and Starlette's own: a string under "error" or "detail". FastAPI's 422: a list of
`{"loc": […], "msg": …}` under "detail". Cloudflare: a list under "errors". Proxies: a page of HTML.
"""

from __future__ import annotations

import json
import re

from ktclient.wording import quote

_TITLE = re.compile(r"<title[^<>]*>([^<]*)</title>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_CODES = ("type", "code")
_LEVELS = 20
_WRAPPED = ("error", "detail", "errors")
_MESSAGES = (
    *("message", "msg", "error_description", "Message", "error_msg", "error_message"),
    *("errorMessage", "Error", "title"),
)
_STATUSES = (
    *("code", "status", "status_code", "http_status", "http_status_code", "statusCode"),
    *("type", "error_type"),
)
"""Fields that may hold a status, as a number, as digits (LiteLLM) or as a word."""
_MEANINGS = {
    **dict.fromkeys(("invalid_request", "bad_request", "invalid_argument", "invalid"), 400),
    **dict.fromkeys(("context_length_exceeded", "exceed_context_size", "string_above_max"), 400),
    **dict.fromkeys(("context_window_exceeded", "unsupported_parameter", "unsupported"), 400),
    **dict.fromkeys(("failed_precondition", "out_of_range", "invalid_prompt"), 400),
    **dict.fromkeys(("authentication", "unauthenticated", "unauthorized", "invalid_api_key"), 401),
    **dict.fromkeys(("permission", "permission_denied", "forbidden"), 403),
    **dict.fromkeys(("not_found", "model_not_found"), 404),
    **dict.fromkeys(("request_too_large", "payload_too_large"), 413),
    **dict.fromkeys(("unprocessable_entity", "validation"), 422),
    **dict.fromkeys(("rate_limit", "rate_limit_exceeded", "rate_limited", "rate_limits"), 429),
    **dict.fromkeys(("too_many_requests", "resource_exhausted", "insufficient_quota"), 429),
    **dict.fromkeys(("throttling", "limit_requests", "too_many_tokens"), 429),
    **dict.fromkeys(("quota_exceeded", "tokens_per_minute", "requests_per_minute"), 429),
    **dict.fromkeys(("server", "internal", "internal_server", "api", "unknown"), 500),
    **dict.fromkeys(("unavailable", "service_unavailable", "overloaded"), 503),
    **dict.fromkeys(("engine_overloaded", "server_overloaded", "model_overloaded"), 503),
    **dict.fromkeys(("timeout", "gateway_timeout", "deadline_exceeded"), 504),
}
"""Words of OpenAI, Anthropic, Google (google.rpc.Code), LiteLLM and Mistral -> the HTTP status that
each of them sends with the word."""
_DIGITS = re.compile(r"\s*(\d{3})(?!\d)")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def words(body: object) -> str:
    """The body's message, on one line and without control characters; empty if it has none, or
    only below `_LEVELS`."""
    return _words(body, _LEVELS)


def _words(body: object, levels: int) -> str:
    if isinstance(body, str):
        return quote(_page(body) if is_html(body) else body)
    if not levels:
        return ""
    if isinstance(body, list):
        return quote("; ".join(filter(None, (_complaint(one, levels - 1) for one in body[:5]))))
    if isinstance(body, dict):
        name, wrapped = next(((one, body[one]) for one in _WRAPPED if body.get(one)), ("", None))
        places = (wrapped, *(body.get(one) for one in _MESSAGES))
        found = [told for one in places if (told := _words(one, levels - 1))]
        # NestJS, Spring and OAuth name a status or a kind under "error", and say what it is beside.
        both = found[: 2 if name == "error" and isinstance(wrapped, str) else 1]
        if raw := _of_provider(body, levels - 1):
            both.append(raw)
        return quote(": ".join(dict.fromkeys(both)))
    return ""


def _of_provider(body: dict[object, object], levels: int) -> str:
    """OpenRouter's message is that its provider returned an error; that stands beside it."""
    metadata = body.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if not isinstance(raw, str):
        return ""
    try:
        return _words(json.loads(raw), levels) or quote(raw)
    except (ValueError, RecursionError):
        return _words(raw, levels)


def shown(body: object) -> str:
    """A body without a message, as it is: its fields may be words enough."""
    if not body or not isinstance(body, (dict, list)):
        return ""
    try:
        return quote(json.dumps(body, ensure_ascii=False, default=str))
    except RecursionError:
        return ""


def codes(body: object) -> str:
    """The error's codes besides its message: its "type" and "code", if they are strings."""
    if not isinstance(body, dict):
        return ""
    inner = body.get("error")
    found = inner if isinstance(inner, dict) else body
    return quote(" ".join(str(found[name]) for name in _CODES if isinstance(found.get(name), str)))


def status(body: object) -> int | None:
    """The HTTP status of an error, from 400 to 599, by its own codes; None if they name none."""
    if not isinstance(body, dict):
        return None
    inner = body.get("error")
    held = [one for one in (inner, body) if isinstance(one, dict)]
    codes = [one[name] for one in held for name in _STATUSES if one.get(name) is not None]
    found = [*map(_number, codes), *map(_meaning, codes)]
    return next((number for number in found if number is not None), None)


def _number(code: object) -> int | None:
    """The status that a code is: a number, or text that begins with one ("429 Too Many")."""
    if isinstance(code, str):
        digits = _DIGITS.match(code)
        code = int(digits[1]) if digits else None
    if isinstance(code, float) and code.is_integer():
        code = int(code)
    return code if isinstance(code, int) and 400 <= code <= 599 else None


def _meaning(code: object) -> int | None:
    """The status that a word means: "rate_limit_error", "RateLimitError", "RESOURCE_EXHAUSTED"."""
    if not isinstance(code, str):
        return None
    word = _HUMP.sub("_", code.strip()[:100]).lower().replace(" ", "_").replace("-", "_")
    for ending in ("_error", "_exception"):
        word = word.removesuffix(ending)
    # DashScope's "Throttling.RateQuota" names the kind first.
    return _MEANINGS.get(word) or _MEANINGS.get(word.partition(".")[0])


def is_html(text: str) -> bool:
    """Whether a text is a web page."""
    start = text[:200].lstrip().lower()
    return start.startswith(("<!doctype html", "<html", "<head", "<?xml"))


def _complaint(one: object, levels: int) -> str:
    """One entry of FastAPI's list: the place and the message."""
    if not isinstance(one, dict):
        return _words(one, levels)
    place = one.get("loc")
    where = ".".join(str(part) for part in place) if isinstance(place, list) else ""
    return ": ".join(filter(None, (where, _words(one, levels))))


def _page(text: str) -> str:
    """A page's title, else its text."""
    title = _TITLE.search(text[:100_000])
    return title[1] if title and title[1].strip() else _TAG.sub(" ", text[:10_000])
