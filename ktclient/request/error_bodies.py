"""The message in an error response's body, whatever its shape.

sglang: flat, `{"object": "error", "message": …}`. OpenAI, llama.cpp, vLLM: nested under "error".
sglang's and Starlette's own: a string under "error" or "detail". FastAPI's 422: a list of
`{"loc": […], "msg": …}` under "detail". Proxies: a page of HTML.
"""

from __future__ import annotations

import re

from ktclient.wording import quote

_TITLE = re.compile(r"<title[^<>]*>([^<]*)</title>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_CODES = ("type", "code")


def words(body: object) -> str:
    """The body's message, on one line and without control characters; empty if it has none."""
    if isinstance(body, str):
        return quote(_page(body) if is_html(body) else body)
    if isinstance(body, list):
        return quote("; ".join(filter(None, (_complaint(one) for one in body[:5]))))
    if isinstance(body, dict):
        inner = next((body[name] for name in ("error", "detail") if body.get(name)), None)
        if inner is not None:
            return words(inner)
        return words(body.get("message")) or words(body.get("msg"))
    return ""


def codes(body: object) -> str:
    """The error's codes besides its message: its "type" and "code", if they are strings."""
    if not isinstance(body, dict):
        return ""
    inner = body.get("error")
    found = inner if isinstance(inner, dict) else body
    return quote(" ".join(str(found[name]) for name in _CODES if isinstance(found.get(name), str)))


def is_html(text: str) -> bool:
    """Whether a text is a web page."""
    start = text[:200].lstrip().lower()
    return start.startswith(("<!doctype html", "<html", "<head", "<?xml"))


def _complaint(one: object) -> str:
    """One entry of FastAPI's list: the place and the message."""
    if not isinstance(one, dict):
        return words(one)
    place = one.get("loc")
    where = ".".join(str(part) for part in place) if isinstance(place, list) else ""
    return ": ".join(filter(None, (where, words(one))))


def _page(text: str) -> str:
    """A page's title, else its text."""
    title = _TITLE.search(text[:100_000])
    return title[1] if title and title[1].strip() else _TAG.sub(" ", text[:10_000])
