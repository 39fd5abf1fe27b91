"""One job in words: its block, its last line, its events; and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ktclient import wording
from ktclient.cli.render import job_activity, terminal_text, units
from ktclient.records.snapshot import Snapshot

if TYPE_CHECKING:
    from jobs.model import Event


NAMES = {
    "dialect": "server type",
    "last_refusal": "last error",
    "tokens_per_second": "tokens/s",
    "asked": "requested",
    "ahead_seconds": "seconds until its turn",
    "predicted_as": "predicted as",
    "predicted_cached_share": "predicted cached share",
    "predicted_cached_tokens": "predicted cached tokens",
    "only_thoughts": "cut off in thoughts",
    "thought_fields": "thoughts came as",
    "thought_tokens": "thinking tokens",
    "turn_marks": "turn marks made harmless",
}
"""Stored name of a figure -> its name for people, where it is not the same."""
_EVENTS = {
    "claimed": "worker started",
    "queued again": "queued for a new attempt",
    "cancel wished": "cancel requested",
    "cancel overdue": "worker does not react to the cancel",
    "not by the schema": "answer does not follow the schema",
    "asked again without a schema": "requested again without a schema",
    "marks made harmless": "turn marks made harmless",
    "not accepted": "request not accepted",
}
"""Kind of an event -> its words for people, where they are not the same."""
_RECEIVED = "last bytes received"
_RECEIVED_LINE = 200
_NAME_CELLS = 11
"""The width of the names of the fields."""


def block(job: Snapshot, room: int | None = None, waits: str = "") -> str:
    """A snapshot for people: one line per field. `room`: the width in cells of a page that is
    drawn again and again, on which the line of progress should stay one line. `waits`: why it
    waits, where that is known."""
    lines = [("job", job.id), ("state", job.shown_state)]
    if not job.is_finished:
        lines.append(("doing", job_activity.activity(job, room and room - _NAME_CELLS, waits)))
    lines += [
        ("document", terminal_text.one_line(job.title)),
        ("task", job.task),
        *(("question", terminal_text.one_line(question)) for question in job.questions),
        ("server", _server(job)),
    ]
    if job.thinking:
        lines.append(("thinking", job.thinking))
    if job.figures.get("prompt_tokens") is not None:
        read, written = job.figures["prompt_tokens"], job.figures["completion_tokens"]
        lines.append(("tokens", f"{read:,} read, {written:,} written{_thinking(job)}"))
    if job.is_finished and job.figures.get("lines") is not None:
        lines.append(
            ("lines", f"{job.figures['lines']:,}, of which {job.figures['failed']:,} failed")
        )
    lines.append(("submitted", units.local_time(job.created_at)))
    if job.imported:
        lines.append(("imported", _origin(job.imported)))
    if job.started_at:
        lines.append(("took" if job.is_finished else "running", units.duration(job.seconds())))
    if job.message:
        lines.append(("because", f"{job.message} [{job.cause}]"))
    return "\n".join(f"{name:<10} {text}" for name, text in lines)


def _origin(imported: Mapping[str, object]) -> str:
    document = "" if imported["has_document"] else ", without its document"
    return f"{units.local_time(str(imported['at']))}: it ran as job {imported['id']}{document}"


def _thinking(job: Snapshot) -> str:
    thought = job.figures.get("thought_tokens")
    return f", of which {thought:,} thinking" if isinstance(thought, int) and thought else ""


def _server(job: Snapshot) -> str:
    url, model = job.figures.get("server"), job.figures.get("model")
    if not model:  # it has not begun
        return f"{job.server} ({terminal_text.one_line(job.model)})" if job.model else job.server
    is_there = url in (None, job.server)
    return f"{job.server} ({model})" if is_there else f"{job.server} ({model} at {url})"


def detached(job_id: object, command: str) -> str:
    """The message after Ctrl-C; `command` reattaches."""
    return f"detached; job {job_id} is still running. Reattach: {command}"


def final_line(job: Snapshot) -> str:
    """One line about how a job ended."""
    took = f"job {job.id} {job.state.lower()} after {units.duration(job.seconds())}"
    if job.state == "SUCCEEDED":
        return f"{took}; print its answer with: ktjob result {job.id}"
    return f"{took}: {job.message}" if job.message else took


def event_record(event: Event) -> dict[str, object]:
    """An event for JSON, without its job's id."""
    return {"at": event.at, "attempt": event.attempt, "kind": event.kind, "data": event.data}


def event_line(event: Event) -> str:
    """An event for people, on one line."""
    if event.kind == "phase":
        return f"phase {event.data['phase']}"
    if event.kind in ("paused", "resumed"):
        return f"{event.kind}: {terminal_text.one_line(str(event.data['what']))}"
    if event.kind == "edited":
        return f"edited ({_changes(event.data)})"
    words, data = _EVENTS.get(event.kind, event.kind), dict(event.data)
    if event.kind == _RECEIVED:
        end = terminal_text.one_line(str(data["text"])[-_RECEIVED_LINE:])
        return f"the server sent {wording.count(int(str(data['bytes'])), 'byte')}, at last: {end}"
    if event.kind == "last attempt":
        words = _previous_attempt(data.pop("silent", None))
    data.pop("pid_namespace", None)  # a number of the kernel, for recovery
    details = ", ".join(f"{NAMES.get(name, name)} {_value(value)}" for name, value in data.items())
    return f"{words} ({details})" if details else words


def _changes(data: Mapping[str, object]) -> str:
    """What an edit changed: "max_tokens 100 → 200"."""
    each = []
    for name, change in data.items():
        before, after = change if isinstance(change, list) and len(change) == 2 else ("", change)
        shown = [
            terminal_text.one_line("none" if one is None else str(one)) for one in (before, after)
        ]
        each.append(f"{NAMES.get(name, name)} {shown[0]} → {shown[1]}")
    return ", ".join(each)


def received(events: Sequence[Event]) -> list[str]:
    """The last bytes that a server sent, by the last event that kept them, as lines that are safe
    on a terminal; empty if none did."""
    last = next((event for event in reversed(events) if event.kind == _RECEIVED), None)
    if last is None:
        return []
    lines = terminal_text.safe(str(last.data["text"])).splitlines()
    count = wording.count(int(str(last.data["bytes"])), "byte")
    return [f"received   {count}; the last of them:", *(f"  {line}" for line in lines if line)]


def _previous_attempt(silent: object) -> str:
    """Whether the server still computes for an earlier attempt, as its event says."""
    if silent is True:
        return "previous attempt has ended on the server"
    if silent is False:
        return "previous attempt may still run on the server"
    return "previous attempt: unknown whether it has ended on the server"


def _value(value: object) -> object:
    return ("yes" if value else "no") if isinstance(value, bool) else value


def json_text(data: object) -> str:
    """JSON: indented on a terminal, one line elsewhere."""
    return json.dumps(data, ensure_ascii=False, indent=1 if sys.stdout.isatty() else None)
