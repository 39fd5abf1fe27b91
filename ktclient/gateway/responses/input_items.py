"""The input of a response: its items, checked and with ids, and the messages that they become. Pure
but for what `Sources` reads.

Thoughts of earlier turns are kept as items and not sent: models are trained to do without them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from ktclient.gateway.responses import checks
from ktclient.gateway.responses.output_items import CALL, MESSAGE, REASONING
from ktclient.wording import quote

Fields = dict[str, Any]
CALL_OUTPUT, REFERENCE = "function_call_output", "item_reference"
_ROLES = ("user", "assistant", "system", "developer")
_SYSTEM = ("system", "developer")
_TEXTS = ("input_text", "output_text", "text")
_PREFIX = {MESSAGE: "msg", REASONING: "rs", CALL: "fc", CALL_OUTPUT: "fco"}
DOCUMENT = "ktjob_text"
"""The field of an input_file of a stored item with the text that was read of it."""


class Sources(Protocol):
    """What items may refer to. Each raises `ApiError` with this param."""

    def item(self, item_id: str, param: str) -> Fields:
        """An item of an earlier response."""

    def file(self, part: Fields, param: str) -> tuple[str, str]:
        """The name and the text of a file."""


def items_of(given: object, sources: Sources) -> list[Fields]:
    """The items of a request's `input`. Raises `ApiError`."""
    if isinstance(given, str):
        content = [{"type": "input_text", "text": checks.text(given, "input")}]
        return [{"type": MESSAGE, "id": _new_id(MESSAGE), "role": "user", "content": content}]
    items = checks.listed(given, "input")
    return [_item(one, f"input[{place}]", sources) for place, one in enumerate(items)]


def _item(given: object, param: str, sources: Sources) -> Fields:
    item = checks.mapping(given, param)
    kind = item.get("type", MESSAGE if "role" in item else None)
    if kind is None and isinstance(item.get("id"), str):
        kind = REFERENCE
    if kind == REFERENCE:
        return sources.item(checks.text(item.get("id"), f"{param}.id"), f"{param}.id")
    if not isinstance(kind, str) or kind not in _BY_KIND:
        words = f"items of type {quote(str(kind))} are not supported"
        raise checks.wrong(f"{param}.type", words, "unsupported_value")
    item_id = checks.text_or_none(item, "id", f"{param}.") or _new_id(kind)
    return {"type": kind, "id": item_id, **_BY_KIND[kind](item, param, sources)}


def _new_id(kind: str) -> str:
    return f"{_PREFIX[kind]}_{secrets.token_hex(12)}"


def _message(item: Fields, param: str, sources: Sources) -> Fields:
    role = checks.choice(item.get("role"), f"{param}.role", _ROLES)
    content, where = item.get("content"), f"{param}.content"
    is_answer = role == "assistant"
    if isinstance(content, str):
        text = checks.text(content, where)
        kind = {"type": "output_text", "annotations": []} if is_answer else {"type": "input_text"}
        parts = [{**kind, "text": text}]
    else:
        parts = _parts(content, where, sources)
    status = {"status": "completed"}
    return {"role": role, "content": parts, **status}


def _parts(content: object, param: str, sources: Sources) -> list[Fields]:
    parts = checks.listed(content, param)
    return [_part(one, f"{param}[{place}]", sources) for place, one in enumerate(parts)]


def _part(given: object, param: str, sources: Sources) -> Fields:
    part = checks.mapping(given, param)
    kind = part.get("type")
    if kind in _TEXTS:
        text = checks.text(part.get("text"), f"{param}.text")
        more: Fields = {"annotations": []} if kind == "output_text" else {}
        return {"type": kind, "text": text, **more}
    if kind == "refusal":
        return {"type": kind, "refusal": checks.text(part.get("refusal"), f"{param}.refusal")}
    if kind == "input_file":
        name, text = sources.file(part, param)
        kept = {"file_id": part["file_id"]} if part.get("file_id") else {}
        return {"type": kind, "filename": name, **kept, DOCUMENT: text}
    if kind == "input_image":
        words = "images are not supported: only text can be counted and sent"
        raise checks.wrong(param, words, "unsupported_value")
    words = f"parts of type {quote(str(kind))} are not supported; only text and files are"
    raise checks.wrong(param, words, "unsupported_value")


def _reasoning(item: Fields, param: str, sources: Sources) -> Fields:
    found: Fields = {"summary": [], "content": []}
    for name in found:
        for place, one in enumerate(checks.listed(item.get(name) or [], f"{param}.{name}")):
            where = f"{param}.{name}[{place}]"
            part = checks.mapping(one, where)
            text = checks.text(part.get("text"), f"{where}.text")
            kind = "summary_text" if name == "summary" else "reasoning_text"
            found[name].append({"type": kind, "text": text})
    return found


def _call(item: Fields, param: str, sources: Sources) -> Fields:
    names = ("call_id", "name", "arguments")
    found = {name: checks.text(item.get(name), f"{param}.{name}") for name in names}
    return {**found, "status": "completed"}


def _call_output(item: Fields, param: str, sources: Sources) -> Fields:
    output, where = item.get("output"), f"{param}.output"
    is_text = isinstance(output, str)
    said = checks.text(output, where) if is_text else _parts(output, where, sources)
    call_id = checks.text(item.get("call_id"), f"{param}.call_id")
    return {"call_id": call_id, "output": said, "status": "completed"}


_BY_KIND = {MESSAGE: _message, REASONING: _reasoning, CALL: _call, CALL_OUTPUT: _call_output}


def messages(instructions: str | None, items: Sequence[Fields]) -> list[Fields]:
    """The messages of the chat with these items. What the system says at the beginning is one
    message: templates refuse several."""
    head = [instructions] if instructions else []
    rest = [item for item in items if item["type"] != REASONING]
    while rest and rest[0]["type"] == MESSAGE and rest[0]["role"] in _SYSTEM:
        head += _texts(rest.pop(0)["content"])
    begun: list[Fields] = [{"role": "system", "content": "\n\n".join(head)}] if head else []
    return [*begun, *_turns(rest)]


def _turns(items: Sequence[Fields]) -> list[Fields]:
    found: list[Fields] = []
    for item in items:
        if item["type"] == CALL:
            # One turn of the assistant has all its calls.
            if not found or found[-1]["role"] != "assistant":
                found.append({"role": "assistant", "content": None})
            found[-1].setdefault("tool_calls", []).append(_chat_call(item))
        elif item["type"] == CALL_OUTPUT:
            content = _content(item["output"])
            found.append({"role": "tool", "tool_call_id": item["call_id"], "content": content})
        elif item["content"]:
            role = "system" if item["role"] in _SYSTEM else item["role"]
            found.append({"role": role, "content": _content(item["content"])})
    return found


def _chat_call(item: Fields) -> Fields:
    function = {"name": item["name"], "arguments": item["arguments"]}
    return {"id": item["call_id"], "type": "function", "function": function}


def _content(parts: str | list[Fields]) -> str | list[Fields]:
    """One text as it is; several as parts, so that the server joins them as its template does."""
    if isinstance(parts, str):
        return parts
    texts = list(_texts(parts)) or [""]
    return texts[0] if len(texts) == 1 else [{"type": "text", "text": text} for text in texts]


def _texts(parts: Sequence[Fields]) -> Iterator[str]:
    for part in parts:
        if part["type"] == "input_file":
            yield part["filename"]
            yield part[DOCUMENT]
        else:
            yield part["refusal" if part["type"] == "refusal" else "text"]


def shown(item: Fields) -> Fields:
    """An item as it is listed: of files their names, not their texts."""
    lists = {
        name: [{key: value for key, value in part.items() if key != DOCUMENT} for part in parts]
        for name, parts in item.items()
        if name in ("content", "output") and isinstance(parts, list)
    }
    return {**item, **lists}
