"""The items of a stored job: what went in, page by page, and what came out. Reads the store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from jobs.model import Job
from jobs.store.http.store import HttpStore
from jobs.store.http.values import Request
from ktclient.gateway.responses import checks, input_items, response, stored_texts
from ktclient.gateway.responses.history import History
from ktclient.gateway.responses.input_items import CALL_OUTPUT
from ktclient.gateway.responses.output_items import CALL, MESSAGE
from ktclient.gateway.responses.response import INPUT
from ktclient.gateway.visibility import Visible
from ktclient.records import kinds
from ktclient.wording import quote

Fields = dict[str, Any]
ASCENDING, DESCENDING = "asc", "desc"
USUAL, MOST = 20, 100
"""Items of a page."""
_SUMMARIZE = "Summarize this document."
"""What the user asked for where a job has no words of a task."""


@dataclass(frozen=True)
class Page:
    """Which items are wanted."""

    limit: int
    after: str | None
    """The id of the item before the first one."""
    order: str


def conversation(store: HttpStore, job: Job, request: Request | None) -> list[Fields]:
    """What a response that continues this one begins with: all its input, and its output."""
    return [*inputs(store, job, request), *_with_content(output(store, job))]


def output(store: HttpStore, job: Job) -> list[Fields]:
    """The output items of a job, so far."""
    history = History(job.id)
    history.read(store)
    found: list[Fields] = history.response()["output"]
    return found


def _with_content(items: list[Fields]) -> list[Fields]:
    return [item for item in items if item["type"] == CALL or item["content"]]


def inputs(store: HttpStore, job: Job, request: Request | None) -> list[Fields]:
    """The input items of a job, oldest first."""
    if request is not None and response.came_here(request):
        found: list[Fields] = stored_texts.whole(store, job, request.fields)[INPUT]
        return found
    return _of_job(store, job)


def page(store: HttpStore, found: Visible, wanted: Page) -> dict[str, Any]:
    """The list with these items. Raises `ApiError`."""
    items = inputs(store, found.job, found.request)
    if checks.choice(wanted.order, "order", (ASCENDING, DESCENDING)) == DESCENDING:
        items = items[::-1]
    start = 0
    if wanted.after is not None:
        places = [place for place, item in enumerate(items) if item["id"] == wanted.after]
        if not places:
            raise checks.wrong("after", f"there is no item {quote(wanted.after)} in this input")
        start = places[0] + 1
    data = [input_items.shown(item) for item in items[start : start + wanted.limit]]
    return {
        "object": "list",
        "data": data,
        "has_more": start + wanted.limit < len(items),
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }


def _of_job(store: HttpStore, job: Job) -> list[Fields]:
    """Those of a job that did not come here: its messages, or its document and what was asked."""
    spec = json.loads(job.spec)
    body = store.document(job.document)
    if spec["task"]["kind"] == "request":
        return _of_chat(job, json.loads(body)["messages"])
    if kinds.kind_of(job.spec) == kinds.BATCH:
        return [_message(job, 0, "user", [_text(job.title)])]
    asked = spec["task"]["text"] or _SUMMARIZE
    return [_message(job, 0, "user", [_text(body.decode()), _text(asked)])]


def _of_chat(job: Job, messages: list[Fields]) -> list[Fields]:
    found: list[Fields] = []
    for message in messages:
        role, content = message["role"], message.get("content")
        kind = "output_text" if role == "assistant" else "input_text"
        given = content if isinstance(content, list) else [{"text": content}] if content else []
        parts = [_text(part.get("text") or part.get("refusal") or "", kind) for part in given]
        if role == "tool":
            said = "".join(part["text"] for part in parts)
            output = {"call_id": message.get("tool_call_id") or "", "output": said}
            found.append(_item(job, len(found), CALL_OUTPUT, output))
            continue
        if parts:
            known = role if role in ("user", "assistant", "system", "developer") else "user"
            found.append(_message(job, len(found), known, parts))
        for call in message.get("tool_calls") or ():
            function = call.get("function") or {}
            names = {"name": function.get("name") or "", "call_id": call.get("id") or ""}
            arguments = {"arguments": function.get("arguments") or ""}
            found.append(_item(job, len(found), CALL, {**names, **arguments}))
    return found


def _message(job: Job, place: int, role: str, parts: list[Fields]) -> Fields:
    return _item(job, place, MESSAGE, {"role": role, "content": parts})


def _item(job: Job, place: int, kind: str, fields: Fields) -> Fields:
    return {"type": kind, "id": f"in_{job.id}_{place}", "status": "completed", **fields}


def _text(text: str, kind: str = "input_text") -> Fields:
    return {"type": kind, "text": text, **({"annotations": []} if kind == "output_text" else {})}
