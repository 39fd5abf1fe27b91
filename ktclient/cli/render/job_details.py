"""One job in words: its block, its last line, its events; and JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from ktclient.cli.render import job_activity, terminal_text, units
from ktclient.records.snapshot import Snapshot

if TYPE_CHECKING:
    from jobs.model import Event


def block(job: Snapshot) -> str:
    """What a snapshot says, a line for each thing."""
    lines = [("job", job.id), ("state", job.state)]
    if not job.is_finished:
        lines.append(("doing", job_activity.activity(job)))
    lines += [
        ("document", terminal_text.one_line(job.title)),
        ("task", job.task),
        *(("asked", terminal_text.one_line(question)) for question in job.questions),
        ("server", _server(job)),
    ]
    if job.figures.get("prompt_tokens") is not None:
        read, written = job.figures["prompt_tokens"], job.figures["completion_tokens"]
        lines.append(("tokens", f"{read:,} read, {written:,} written"))
    if job.figures.get("lines") is not None:
        lines.append(
            ("lines", f"{job.figures['lines']:,}, of which {job.figures['failed']:,} failed")
        )
    lines.append(("submitted", units.local_time(job.created_at)))
    if job.started_at:
        lines.append(("took" if job.is_finished else "running", units.duration(job.seconds())))
    if job.message:
        lines.append(("because", f"{job.message} [{job.cause}]"))
    return "\n".join(f"{name:<10} {text}" for name, text in lines)


def _server(job: Snapshot) -> str:
    url, model = job.figures.get("server"), job.figures.get("model")
    return f"{job.server} ({model} at {url})" if model else job.server


def final_line(job: Snapshot) -> str:
    took = f"job {job.id} {job.state.lower()} after {units.duration(job.seconds())}"
    if job.state == "SUCCEEDED":
        return f"{took}; print its answer with: ktjob result {job.id}"
    return f"{took}: {job.message}" if job.message else took


def event_record(event: Event) -> dict[str, object]:
    """For JSON, beside its job."""
    return {"at": event.at, "attempt": event.attempt, "kind": event.kind, "data": event.data}


def event_line(event: Event) -> str:
    """An event in words."""
    if event.kind == "phase":
        return f"phase {event.data['phase']}"
    details = ", ".join(f"{name} {value}" for name, value in event.data.items())
    return f"{event.kind} ({details})" if details else event.kind


def json_text(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, indent=1 if sys.stdout.isatty() else None)
