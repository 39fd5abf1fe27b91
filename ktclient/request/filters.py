"""Filters for a stream on its way to the store."""

from __future__ import annotations

from collections.abc import Iterator

from ktclient.errors import AbortedByServer
from ktclient.request.events import Completed, Quiet, Text
from ktclient.request.stream import StreamEvent

_HELD_TICKS = 5
"""About a second. The token of a refusal and its end are sent together."""


def drop_refusal_token(events: Iterator[StreamEvent]) -> Iterator[StreamEvent]:
    """Drop the one token that sglang-kt sends instead of its reason for a refusal: it generates one
    token of something else (managers/schedule_batch.py), which is no answer. So the first text is
    held until the next event, or for a second."""
    held: Text | None = None
    is_begun, quiet = False, 0
    try:
        for event in events:
            if isinstance(event, Text) and not is_begun:
                held, is_begun = event, True
                continue
            quiet += isinstance(event, Quiet) and held is not None
            if held is not None and (isinstance(event, (Text, Completed)) or quiet > _HELD_TICKS):
                yield held
                held = None
            yield event
    except Exception as error:
        was_refused = isinstance(error, AbortedByServer) and not error.was_read
        if held is not None and not was_refused:
            yield held
        raise


def collect_answer(events: Iterator[StreamEvent], answer: list[str]) -> Iterator[StreamEvent]:
    """All events; the answer's text is also appended to `answer`."""
    for event in events:
        if isinstance(event, Text) and event.channel == "answer":
            answer.append(event.text)
        yield event
