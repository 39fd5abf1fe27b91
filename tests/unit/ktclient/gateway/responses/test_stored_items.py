"""The items of a stored job, as they are listed and continued."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import ResponseItem
from pydantic import TypeAdapter

from jobs.model import Capacity, Identity, NewJob, NewRequest, Outcome, Piece
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway.responses import input_items, request_body, stored_items
from ktclient.gateway.responses.stored_items import Page
from ktclient.gateway.visibility import Visible
from ktclient.gateway.wire.errors import ApiError

STRICT: TypeAdapter[Any] = TypeAdapter(ResponseItem)
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Look"}]},
    {"role": "assistant", "content": "I do.", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "seen"},
]


def stored(
    store: HttpStore, kind: str, document: bytes, request: NewRequest | None = None
) -> Visible:
    task = {"kind": kind, "text": "Who?" if kind == "ask" else ""}
    spec = {"task": task, "server": "http://s", "model": "m", "max_tokens": 9}
    new = NewJob("pool", json.dumps(spec), document, "title", request=request)
    job = store.submit(new, Capacity())
    store.claim(job.id, Identity("boot", 1, 1))
    store.append(job.id, 1, [Piece(1, "reasoning", "Hm."), Piece(2, "answer", "Well.")])
    store.finish(job.id, 1, Outcome.SUCCEEDED, None, None)
    return Visible(store.job(job.id), store.request(job.id))


def test_a_chat_is_its_messages(state: StateDir) -> None:
    """Listed by openai's strict types, and the same messages if it is continued."""
    with HttpStore.open(state) as store:
        found = stored(store, "request", json.dumps({"messages": CHAT}).encode())
        page = stored_items.page(store, found, Page(limit=100, after=None, order="asc"))
        for item in page["data"]:
            STRICT.validate_python(item)
        items = stored_items.conversation(store, found.job, found.request)
        user = {"role": "user", "content": "Look"}
        said = {"role": "assistant", "content": "Well."}
        expected = [CHAT[0], user, *CHAT[2:], said]
        assert input_items.messages(None, items) == expected


def test_a_document_is_a_message_with_what_was_asked(state: StateDir) -> None:
    with HttpStore.open(state) as store:
        for kind, asked in (("ask", "Who?"), ("summarize", "Summarize this document.")):
            found = stored(store, kind, b"A story.")
            (message,) = stored_items.inputs(store, found.job, None)
            STRICT.validate_python(message)
            assert [part["text"] for part in message["content"]] == ["A story.", asked]


def test_all_kinds_of_items_are_listed_page_by_page(state: StateDir) -> None:
    given = [
        {"role": "user", "content": "Look " * 100},
        {"type": "reasoning", "id": "rs_9", "summary": [{"type": "summary_text", "text": "Hm"}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "seen"},
        {"role": "assistant", "content": "Well."},
    ]
    raw = json.dumps({"model": "m", "input": given}).encode()
    asked = request_body.asked(request_body.read(raw), None)  # type: ignore[arg-type]
    request = NewRequest("", "responses", "digest", asked.fields)
    with HttpStore.open(state) as store:
        found = stored(store, "request", asked.body.to_bytes(), request)
        listed: list[dict[str, Any]] = []
        has_more, after = True, None
        while has_more:
            page = stored_items.page(store, found, Page(limit=2, after=after, order="desc"))
            listed += page["data"]
            has_more, after = page["has_more"], page["data"][-1]["id"]
            assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], after)
        for item in listed:
            STRICT.validate_python(item)
        kinds = ["message", "reasoning", "function_call", "function_call_output", "message"]
        assert [item["type"] for item in listed] == kinds[::-1]
        assert listed[-1]["content"][0]["text"] == "Look " * 100
        with pytest.raises(ApiError) as caught:
            stored_items.page(store, found, Page(limit=2, after="nothing", order="desc"))
        assert caught.value.param == "after"
