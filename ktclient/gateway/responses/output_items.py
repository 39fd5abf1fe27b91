"""The items of a response's output while it is written: messages, thoughts, calls of functions.
Pure.

An item keeps its index for good. What turned out not to belong to the answer (an attempt that died
after output, thoughts that looked like the answer) stays as an incomplete item without content, so
that the texts of all messages together are the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MESSAGE, REASONING, CALL = "message", "reasoning", "function_call"
IN_PROGRESS, COMPLETED, INCOMPLETE = "in_progress", "completed", "incomplete"
_PREFIX = {MESSAGE: "msg", REASONING: "rs", CALL: "fc"}
_PART = {MESSAGE: "output_text", REASONING: "reasoning_text"}

Fields = dict[str, Any]


@dataclass
class Item:
    """One item. `texts`: its text, or the arguments of a call, as they came."""

    kind: str
    id: str
    index: int
    attempt: int
    status: str = IN_PROGRESS
    texts: list[str] = field(default_factory=list)
    is_void: bool = False
    """Whether its text does not belong to the answer."""
    call_id: str = ""
    name: str = ""

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.texts)

    @property
    def part(self) -> Fields:
        """Its content part, with the text so far."""
        more: Fields = {"annotations": [], "logprobs": []} if self.kind == MESSAGE else {}
        return {"type": _PART[self.kind], "text": self.text, **more}

    def shown(self, *, is_empty: bool = False) -> Fields:
        """The object; `is_empty`: without its content, as when it is added."""
        head: Fields = {"id": self.id, "type": self.kind, "status": self.status}
        if self.kind == CALL:
            text = "" if is_empty else self.text
            return {**head, "call_id": self.call_id, "name": self.name, "arguments": text}
        content = [] if is_empty else [self.part]
        if self.kind == REASONING:
            return {**head, "summary": [], "content": content}
        return {**head, "role": "assistant", "content": content}


class OutputItems:
    """All items of one response, in the order of their indexes."""

    def __init__(self, job_id: str) -> None:
        self._job_id = job_id
        self._all: list[Item] = []

    def add(self, kind: str, attempt: int) -> Item:
        """A new item at the next index."""
        index = len(self._all)
        item = Item(kind, f"{_PREFIX[kind]}_{self._job_id}_{index}", index, attempt)
        self._all.append(item)
        return item

    def of(self, attempt: int) -> list[Item]:
        """Those of an attempt."""
        return [item for item in self._all if item.attempt == attempt]

    def knows_call(self, call_id: str) -> bool:
        """Whether a call has this id."""
        return any(item.call_id == call_id for item in self._all)

    def shown(self, attempt: int) -> list[Fields]:
        """The output if this attempt's is the answer."""
        return [item.shown(is_empty=item.is_void or item.attempt != attempt) for item in self._all]

    def last_attempt(self, most: int) -> int:
        """The last attempt up to this one that wrote anything; `most` if none did."""
        return max((item.attempt for item in self._all if not item.is_void), default=most)


def job_id_of(item_id: str) -> str | None:
    """The job that wrote an item with this id; None for ids of another form."""
    prefix, _, rest = item_id.partition("_")
    job_id, _, number = rest.rpartition("_")
    is_ours = prefix in _PREFIX.values() and job_id and number.isdigit()
    return job_id if is_ours else None
