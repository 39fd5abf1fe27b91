"""Lines that report problems of a server. `explain` interprets them.

sglang-kt managers/scheduler.py:2322 and 3271, utils/watchdog.py:152, managers/
tokenizer_manager.py:2113 and 2516, entrypoints/http_server.py:483.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from server_bundle.logs import fields
from server_bundle.logs.line import Line


@dataclass(frozen=True)
class Retract:
    """The KV pool was full: requests were requeued; without a prefix cache they are prefilled
    again."""

    requests: int
    tokens_gained: int | None = None


@dataclass(frozen=True)
class Abort:
    """A request was aborted because its client had disconnected. `rid`: its id, if in the line."""

    rid: str | None


class End(str, Enum):
    """How a server, or one of its processes, ends."""

    SCHEDULER = "its scheduler failed"
    CHILD = "one of its processes failed"
    WATCHDOG = "a forward took longer than the watchdog allows"
    KILLED = "it was stopped without waiting for its requests"


@dataclass(frozen=True)
class Fatal:
    """The server dies. `text`: the line."""

    end: End
    text: str


@dataclass(frozen=True)
class Draining:
    """The server was asked to stop and waits for `remaining` requests; None at the beginning."""

    remaining: int | None


@dataclass(frozen=True)
class Unhealthy:
    """/health got no answer from the scheduler for `seconds`. It proves nothing: a long chunk is
    enough to cause it."""

    seconds: float | None


@dataclass(frozen=True)
class TracebackBegins:
    """A traceback begins: frames follow, then a `PythonError`."""


@dataclass(frozen=True)
class PythonError:
    """The last line of a traceback."""

    name: str
    message: str


_ENDS: tuple[tuple[re.Pattern[str], End], ...] = (
    (re.compile(r"Scheduler hit an exception: "), End.SCHEDULER),
    (re.compile(r"(?:Scheduler|Detokenizer|\w+) watchdog timeout"), End.WATCHDOG),
    (re.compile(r"SIGQUIT received\. "), End.CHILD),
    (re.compile(r"Signal SIGTERM received while .*Force exiting"), End.KILLED),
)
_RETRACT = re.compile(r"(?:KV cache pool is full\. Retract requests|Testing retraction)\. ")
_ABORT = re.compile(r"Request is disconnected from the client side|Abort (?:queued )?request")
_RID = re.compile(r"\brid=['\"]?([\w.\-]{1,200})", re.ASCII)
_REMAINING = re.compile(r"Remaining number of requests (\d{1,9})", re.ASCII)
_UNHEALTHY = re.compile(r"Health check failed\..*? for last (\d{1,9}(?:\.\d{1,6})?) seconds")
_TRACEBACK = "Traceback (most recent call last):"
_ERROR = re.compile(r"((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt))(?:: (.*))?$")

Trouble = Retract | Abort | Fatal | Draining | Unhealthy | TracebackBegins | PythonError


def read(line: Line) -> Trouble | None:
    """The event in a line; None for any other line."""
    text = line.text
    for pattern, end in _ENDS:
        if pattern.match(text):
            return Fatal(end, text)
    if head := _RETRACT.match(text):
        found = fields.read(text[head.end() :])
        requests = fields.count(found, "retracted_reqs")
        gained = fields.count(found, "new_tokens_gained")
        return None if requests is None else Retract(requests, gained)
    if _ABORT.match(text):
        rid = _RID.search(text)
        return Abort(rid[1] if rid else None)
    return _slowly_ending(text) or _of_python(line)


def _slowly_ending(text: str) -> Draining | Unhealthy | None:
    if text.startswith("SIGTERM received. "):
        return Draining(None)
    if text.startswith("Gracefully exiting..."):
        remaining = _REMAINING.search(text)
        return Draining(int(remaining[1]) if remaining else None)
    unhealthy = _UNHEALTHY.match(text)
    return Unhealthy(float(unhealthy[1])) if unhealthy else None


def _of_python(line: Line) -> TracebackBegins | PythonError | None:
    if line.text.startswith(_TRACEBACK):
        return TracebackBegins()
    error = None if line.is_stamped else _ERROR.match(line.text)
    return PythonError(error[1], error[2] or "") if error else None
