"""`ktjob wait`, `logs` and `cancel`: what becomes of one job. Answers: result.py."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ktclient.cli import exit_codes
from ktclient.cli.render import progress_line, screen
from ktclient.config import settings as config
from ktclient.records import access
from ktclient.records.snapshot import SCHEMA, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.model import Event, Job
    from jobs.store.store import Store

_CANCEL_SECONDS = 30.0


@contextmanager
def job_by(prefix: str) -> Iterator[tuple[Store, Job]]:
    with access.told(config.load().state, prefix) as store:
        yield store, store.find(prefix)


def in_full(job: Snapshot) -> str:
    """What a snapshot says, a line for each thing."""
    lines = [("job", job.id), ("state", job.state)]
    if not job.is_finished:
        lines.append(("doing", screen.activity(job)))
    lines += [
        ("document", screen.one_line(job.title)),
        ("task", job.task),
        *(("asked", screen.one_line(question)) for question in job.questions),
        ("server", _server(job)),
    ]
    if job.figures.get("prompt_tokens") is not None:
        read, written = job.figures["prompt_tokens"], job.figures["completion_tokens"]
        lines.append(("tokens", f"{read:,} read, {written:,} written"))
    if job.figures.get("lines") is not None:
        lines.append(
            ("lines", f"{job.figures['lines']:,}, of which {job.figures['failed']:,} failed")
        )
    lines.append(("submitted", screen.local_time(job.created_at)))
    if job.started_at:
        lines.append(("took" if job.is_finished else "running", screen.duration(job.seconds())))
    if job.message:
        lines.append(("because", f"{job.message} [{job.cause}]"))
    return "\n".join(f"{name:<10} {text}" for name, text in lines)


def _server(job: Snapshot) -> str:
    url, model = job.figures.get("server"), job.figures.get("model")
    return f"{job.server} ({model} at {url})" if model else job.server


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--timeout", type=float, metavar="S", help="Wait at most so many seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def wait(job_id: str, timeout: float | None, as_json: bool) -> int:
    """Wait for a job to end, showing its progress. Ctrl-C only detaches."""
    end = watch(job_id, timeout)
    screen.say(ending(end))
    if as_json:
        screen.put(json_text(end.to_dict()))
    return exit_codes.code_of_job(end.state, end.cause)


def watch(job_id: str, timeout: float | None, *, is_silent: bool = False) -> Snapshot:
    """The job's end, with progress until then unless `is_silent`. Raises `NotFinished`; an
    interrupt says how to come back."""
    from ktclient.api.job import Job as JobJob

    job = JobJob(job_id)
    now: Snapshot | None = None
    try:
        with progress_line.line(is_silent=is_silent) as line:
            for now in job.watch(timeout):
                if not now.is_finished:
                    line.job(now)
    except KeyboardInterrupt:
        screen.say(f"\ndetached; job {job.id} goes on. Come back with: ktjob wait {job.id}")
        raise
    assert now is not None
    return now


def ending(job: Snapshot) -> str:
    took = f"job {job.id} {job.state.lower()} after {screen.duration(job.seconds())}"
    if job.state == "SUCCEEDED":
        return f"{took}; print its answer with: ktjob result {job.id}"
    return f"{took}: {job.message}" if job.message else took


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def logs(job_id: str, as_json: bool) -> None:
    """Show what happened to a job, step by step, and what its worker logged."""
    settings = config.load()
    with job_by(job_id) as (store, job):
        events = store.events(job.id)
    log = settings.state.job_log(job.id)
    text = log.read_text(errors="replace").strip() if log.exists() else ""
    if as_json:
        record = {"schema": SCHEMA, "id": job.id, "log": str(log), "text": text}
        screen.put(json_text({**record, "events": list(map(event_record, events))}))
        return
    for event in events:
        screen.put(f"{screen.local_time(event.at)}  {told(event)}")
    if text:
        screen.put(f"-- {log}\n{text}")


def event_record(event: Event) -> dict[str, object]:
    """For JSON, beside its job."""
    return {"at": event.at, "attempt": event.attempt, "kind": event.kind, "data": event.data}


def told(event: Event) -> str:
    """An event in words."""
    if event.kind == "phase":
        return f"phase {event.data['phase']}"
    details = ", ".join(f"{name} {value}" for name, value in event.data.items())
    return f"{event.kind} ({details})" if details else event.kind


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def cancel(job_id: str, as_json: bool) -> int:
    """End a job: a queued one at once, a running one within a few seconds."""
    from ktclient.api.job import Job as JobJob

    job = JobJob(job_id)
    before = job.status()
    if before.is_finished:
        screen.say(f"job {job.id} had already ended: {before.state}")
    else:
        job.cancel()
        job.wait(_CANCEL_SECONDS)
    now = job.status()
    if not before.is_finished:
        screen.say(ending(now) if now.state != "CANCELLED" else f"job {job.id} cancelled")
    if as_json:
        screen.put(json_text(now.to_dict()))
    return exit_codes.SUCCEEDED


def json_text(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, indent=1 if sys.stdout.isatty() else None)
