"""The events of one response, in order and numbered, from what the store has of its job. Pure.

The same rows give the same events, so every stream of a job says the same, and one that comes back
goes on where it was. A later look adds events and changes none: nothing here may depend on when it
is asked.

Calls of functions are said when the attempt has succeeded: a client executes a call as soon as it
is said, and must not execute one of an attempt that died.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.model import Piece
from jobs.store.http.values import ProgressMark
from ktclient.answers.divider import Divider
from ktclient.answers.stretches import ANSWER_CHANNEL, Kind, Stretch
from ktclient.batch import tool_calls
from ktclient.gateway.responses.output_items import (
    CALL,
    COMPLETED,
    INCOMPLETE,
    MESSAGE,
    REASONING,
    Fields,
    Item,
    OutputItems,
)

QUEUED, IN_PROGRESS = "queued", "in_progress"
CALLS_CHANNEL = "tool_calls"
_SLICE = 1 << 16
"""Characters that are divided at a time: an output may have a million tags."""
_WORD = {MESSAGE: "output_text", REASONING: "reasoning_text"}
_KIND = {Kind.ANSWER: MESSAGE, Kind.THOUGHTS: REASONING}


@dataclass(frozen=True)
class Event:
    """One event of the stream; `data` has its type and number too."""

    number: int
    type: str
    data: Fields = field(repr=False)


@dataclass(frozen=True)
class Head:
    """What is known when the job is stored."""

    job_id: str
    response: Fields
    """The response object as it was created, without status and output."""
    is_plain: bool = False
    """Whether the output is not divided: the lines of a batch's results."""
    holds: bool = False
    """Whether text is held back that may turn out to be thought."""


@dataclass(frozen=True)
class Ending:
    """How the job ended."""

    status: str
    """completed, incomplete, failed or cancelled."""
    changes: Fields
    """Fields of the response that are known only now."""
    is_success: bool
    is_all_thought: bool = False
    """Whether the output was cut off in thoughts that began in the prompt."""


class Transcript:
    """Writes the events. Feed it in the order in which things happened: attempts, their pieces and
    marks, the end. `take` returns what was added."""

    def __init__(self, head: Head) -> None:
        self._head, self._items = head, OutputItems(head.job_id)
        self._count, self._new = 0, list[Event]()
        self._attempt = 0
        self._status, self._changes = QUEUED, dict[str, Any]()
        self._divider = Divider(holds=head.holds)
        self._open: Item | None = None
        self._blanks = {MESSAGE: "", REASONING: ""}
        """Text of nothing but blanks, which opens no item."""
        self._calls: list[str] = []
        self.is_over = False
        self._say_response("response.created", {})
        self._say_response("response.queued", {})

    def take(self) -> list[Event]:
        """The events since the last call."""
        found, self._new = self._new, []
        return found

    def response(self) -> Fields:
        """The response object as it is now."""
        return {
            **self._head.response,
            **self._changes,
            "status": self._status,
            "output": self._items.shown(self._shown_attempt()),
        }

    def begin_attempt(self, number: int) -> None:
        """The next attempt has begun; what the one before wrote is not the answer."""
        self._close(INCOMPLETE)
        for item in self._items.of(self._attempt):
            item.status = INCOMPLETE
        self._attempt, self._status = number, IN_PROGRESS
        self._divider, self._calls = Divider(holds=self._head.holds), []
        self._blanks = dict.fromkeys(self._blanks, "")
        self._say_response("response.in_progress", {"attempt": number})

    def mark(self, mark: ProgressMark) -> None:
        """What was said in a silence."""
        self._say_response(f"response.{self._status}", mark.data)

    def piece(self, piece: Piece) -> None:
        """Output as it came."""
        if piece.channel == CALLS_CHANNEL:
            self._calls.append(piece.text)
        elif self._head.is_plain:
            if piece.channel == ANSWER_CHANNEL:
                self._write(MESSAGE, piece.text)
        else:
            for start in range(0, len(piece.text), _SLICE):
                part = piece.text[start : start + _SLICE]
                self._take_stretches(self._divider.take(part, piece.channel))

    def end(self, ending: Ending) -> None:
        """The job has ended; nothing follows."""
        rest = [] if self._head.is_plain else self._divider.end()
        if ending.is_all_thought:
            self._recall()
            rest = [Stretch(Kind.THOUGHTS, one.text) for one in rest]
        self._take_stretches(rest)
        is_whole = ending.status == COMPLETED
        self._close(COMPLETED if is_whole else INCOMPLETE)
        if ending.is_success:
            self._say_calls(is_whole=is_whole)
        self._status, self._changes, self.is_over = ending.status, ending.changes, True
        name = INCOMPLETE if ending.status == "cancelled" else ending.status
        self._say_response(f"response.{name}", {})

    def _shown_attempt(self) -> int:
        """Whose text is the answer: of a job that failed, the last there is."""
        is_partial = self.is_over and self._status not in (COMPLETED, INCOMPLETE)
        return self._items.last_attempt(self._attempt) if is_partial else self._attempt

    # text

    def _take_stretches(self, stretches: Sequence[Stretch]) -> None:
        joined: list[tuple[str, str]] = []
        for one in stretches:
            if one.kind is Kind.RECALL:
                self._write_all(joined)
                joined = []
                self._recall()
            elif joined and joined[-1][0] == _KIND[one.kind]:
                joined[-1] = (joined[-1][0], joined[-1][1] + one.text)
            else:
                joined.append((_KIND[one.kind], one.text))
        self._write_all(joined)

    def _write_all(self, texts: Sequence[tuple[str, str]]) -> None:
        for kind, text in texts:
            self._write(kind, text)

    def _recall(self) -> None:
        """The answer so far was thought: it is said again, as thoughts."""
        self._close(INCOMPLETE)
        texts = []
        for item in self._items.of(self._attempt):
            if item.kind == MESSAGE and not item.is_void:
                texts.append(item.text)
                item.is_void, item.status = True, INCOMPLETE
        self._write(REASONING, "".join(texts))

    def _write(self, kind: str, text: str) -> None:
        if self._open is None or self._open.kind != kind:
            text = self._blanks[kind] + text
            if not text.strip():
                self._blanks[kind] = text
                return
            self._blanks = dict.fromkeys(self._blanks, "")
            self._close(COMPLETED)
            self._open = self._opened(kind)
        self._open.texts.append(text)
        more: Fields = {"logprobs": []} if kind == MESSAGE else {}
        self._say_of(self._open, f"{_WORD[kind]}.delta", {"delta": text, **more})

    def _opened(self, kind: str) -> Item:
        item = self._items.add(kind, self._attempt)
        self._say_item("added", item, item.shown(is_empty=True))
        self._say_of(item, "content_part.added", {"part": item.part})
        return item

    def _close(self, status: str) -> None:
        item, self._open = self._open, None
        if item is None:
            return
        item.status = status
        more: Fields = {"logprobs": []} if item.kind == MESSAGE else {}
        self._say_of(item, f"{_WORD[item.kind]}.done", {"text": item.text, **more})
        self._say_of(item, "content_part.done", {"part": item.part})
        self._say_item("done", item, item.shown())

    # calls

    def _say_calls(self, *, is_whole: bool) -> None:
        pieces = "".join(self._calls)
        calls = tool_calls.joined(pieces)
        if legacy := tool_calls.legacy(pieces):
            calls.append({"id": None, "function": legacy})
        for call in calls:
            self._say_call(call, is_whole=is_whole or call is not calls[-1])

    def _say_call(self, call: Fields, *, is_whole: bool) -> None:
        function = call.get("function") or call[tool_calls.CUSTOM]
        item = self._items.add(CALL, self._attempt)
        given = call["id"] if isinstance(call["id"], str) else ""
        is_new = given and not self._items.knows_call(given)
        item.call_id = given if is_new else f"call_{self._head.job_id}_{item.index}"
        item.name = str(function["name"] or "")
        self._say_item("added", item, item.shown(is_empty=True))
        arguments = function.get("arguments", function.get("input")) or ""
        item.texts.append(_whole(arguments))
        self._say_of(item, "function_call_arguments.delta", {"delta": item.text}, is_part=False)
        done = {"arguments": item.text, "name": item.name}
        self._say_of(item, "function_call_arguments.done", done, is_part=False)
        item.status = COMPLETED if is_whole else INCOMPLETE
        self._say_item("done", item, item.shown())

    # events

    def _say_response(self, name: str, progress: Fields) -> None:
        response = self.response()
        response["ktjob"] = {**response.get("ktjob", {}), **progress}
        self._say(name, {"response": response})

    def _say_item(self, what: str, item: Item, shown: Fields) -> None:
        self._say(f"response.output_item.{what}", {"output_index": item.index, "item": shown})

    def _say_of(self, item: Item, what: str, data: Fields, *, is_part: bool = True) -> None:
        place: Fields = {"item_id": item.id, "output_index": item.index}
        if is_part:
            place["content_index"] = 0
        self._say(f"response.{what}", {**place, **data})

    def _say(self, name: str, data: Fields) -> None:
        numbered = {"type": name, "sequence_number": self._count, **data}
        self._new.append(Event(self._count, name, numbered))
        self._count += 1


def _whole(text: str) -> str:
    """The same with pairs of surrogates as characters: arguments come in pieces, which may be cut
    within one."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
