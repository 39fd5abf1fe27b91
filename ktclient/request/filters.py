"""Filters for a stream on its way to the store."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from jobs import known_secrets
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


_KINDS = (("function", "arguments"), ("function_call", "arguments"), ("custom", "input"))
"""Where the text of a call is, which comes in pieces."""


def hide_key(events: Iterator[StreamEvent], api_key: str | None) -> Iterator[StreamEvent]:
    """The same events without the server's own key in their text, also where pieces cut it. What
    only looks like a key is the model's answer and stays. Nothing is held for longer than to the
    next piece, the end, or an error."""
    if not known_secrets.Stream(api_key).is_needed:
        yield from events
        return
    texts: dict[str, known_secrets.Stream] = defaultdict(lambda: known_secrets.Stream(api_key))
    try:
        for event in events:
            if isinstance(event, Completed):
                yield from _rests(texts)
            if not isinstance(event, Text):
                yield event
            elif event.channel == "tool_calls":
                yield replace(event, text=_calls(event.text, texts))
            elif text := texts[event.channel].take(event.text):
                yield replace(event, text=text)
    except Exception:
        yield from _rests(texts)
        raise


def _calls(line: str, texts: dict[str, known_secrets.Stream]) -> str:
    """One list of pieces of calls. The arguments of each call are a text of their own."""
    pieces = json.loads(known_secrets.hide(line))
    for piece in pieces:
        for kind, field in _KINDS:
            call = piece.get(kind) if isinstance(piece, dict) else None
            if isinstance(call, dict) and isinstance(call.get(field), str):
                hidden = texts[f"call {kind} {field} {piece.get('index')}"]
                call[field] = hidden.take(call[field])
    return json.dumps(pieces) + "\n"


def _rests(texts: dict[str, known_secrets.Stream]) -> Iterator[Text]:
    for name, hidden in texts.items():
        rest = hidden.rest()
        if rest and name.startswith("call "):
            _, kind, field, index = name.split(" ")
            piece = {kind: {field: rest}}
            call = {"index": int(index), **piece} if index.isdigit() else piece
            yield Text(json.dumps([call]) + "\n", "tool_calls")
        elif rest:
            yield Text(rest, name)
