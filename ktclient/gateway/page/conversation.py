"""What a chat request asked, for people: the beginnings of its last messages."""

from __future__ import annotations

from dataclasses import replace

from jobs.model import Job
from jobs.store.http.store import HttpStore
from ktclient.prompts.tasks import Kind
from ktclient.records import snapshot
from ktclient.request.body import Body

MOST_MESSAGES = 40
MOST_CHARACTERS = 20_000
"""Of one message; a document may be in it, and can be downloaded."""


def messages(store: HttpStore, job: Job) -> list[dict[str, object]]:
    """Role and text of the last messages, in order, and how long each is; empty for a job that is
    no chat request. For megabytes: call it in a thread."""
    if snapshot.of_job(store, job).task != Kind.REQUEST.value:
        return []
    body = Body.from_bytes(store.document(job.document))
    return [_shown(body, message) for message in body.messages[-MOST_MESSAGES:]]


def _shown(body: Body, message: dict[str, object]) -> dict[str, object]:
    text = replace(body, fields={"messages": [message]}).text
    return {
        "role": str(message.get("role", "")),
        "text": text[:MOST_CHARACTERS],
        "characters": len(text),
    }
