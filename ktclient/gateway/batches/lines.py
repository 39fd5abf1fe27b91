"""The lines of a batch's file as requests of /v1/chat/completions: what ktjob's batches send."""

from __future__ import annotations

from ktclient.request import body as request_body

CHAT = request_body.URL
ENDPOINTS = (CHAT,)
"""What a batch may be for."""


def as_chats(body: bytes, endpoint: str) -> bytes:
    """The same lines for /v1/chat/completions. A line that cannot be read stays as it is: the
    batch's own check says what is wrong with it."""
    assert endpoint == CHAT
    return body
