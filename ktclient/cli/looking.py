"""`ktjob wait`, `logs` and `cancel`, and what other commands print about one job."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ktclient import config, truth
from ktclient.cli import exits, live, screen
from ktclient.snapshot import SCHEMA, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.model import Event, Job
    from jobs.store import Store

_CANCEL_SECONDS = 30.0


@contextmanager
def job_by(prefix: str) -> Iterator[tuple[Store, Job]]:
    """The job store, and the job whose id starts with `prefix`. Raises `NoSuchJob`,
    `AmbiguousId`."""
    with truth.told(config.load().state, prefix) as store:
        yield store, store.find(prefix)


def in_full(job: Snapshot) -> str:
    """A snapshot for people: one line per field."""
    lines = [("job", job.id), ("state", job.state)]
    if not job.is_finished:
        lines.append(("doing", screen.activity(job)))
    lines += [
        ("document", screen.one_line(job.title)),
        ("task", job.task),
        *(("question", screen.one_line(question)) for question in job.questions),
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
@click.option("--timeout", type=float, metavar="S", help="Maximum time to wait, in seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def wait(job_id: str, timeout: float | None, as_json: bool) -> int:
    """Wait for a job to end and show its progress. Ctrl-C only detaches."""
    end = watch(job_id, timeout)
    screen.say(ending(end))
    if as_json:
        screen.put(json_text(end.to_dict()))
    return exits.code_of_job(end.state, end.cause)


def watch(job_id: str, timeout: float | None, *, is_silent: bool = False) -> Snapshot:
    """Wait for the job to end, with progress unless `is_silent`. Returns its last snapshot.

    `timeout` is in seconds; None waits without a limit. Raises `NotFinished` after it. Ctrl-C
    prints how to reattach and is raised again.
    """
    from ktclient.submit import Job

    job = Job(job_id)
    now: Snapshot | None = None
    try:
        with live.line(is_silent=is_silent) as line:
            for now in job.watch(timeout):
                if not now.is_finished:
                    line.job(now)
    except KeyboardInterrupt:
        screen.say(f"\n{detached(job.id, f'ktjob wait {job.id}')}")
        raise
    assert now is not None
    return now


def detached(job_id: object, command: str) -> str:
    """The message after Ctrl-C; `command` reattaches."""
    return f"detached; job {job_id} is still running. Reattach: {command}"


def ending(job: Snapshot) -> str:
    """One line about how a job ended."""
    took = f"job {job.id} {job.state.lower()} after {screen.duration(job.seconds())}"
    if job.state == "SUCCEEDED":
        return f"{took}; print its answer with: ktjob result {job.id}"
    return f"{took}: {job.message}" if job.message else took


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def logs(job_id: str, as_json: bool) -> None:
    """Show the events of a job and the log of its worker."""
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
    """An event for JSON, without its job's id."""
    return {"at": event.at, "attempt": event.attempt, "kind": event.kind, "data": event.data}


def told(event: Event) -> str:
    """An event for people, on one line."""
    if event.kind == "phase":
        return f"phase {event.data['phase']}"
    details = ", ".join(f"{name} {value}" for name, value in event.data.items())
    return f"{event.kind} ({details})" if details else event.kind


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def cancel(job_id: str, as_json: bool) -> int:
    """Cancel a job: a queued one immediately, a running one within a few seconds."""
    from ktclient.submit import Job

    job = Job(job_id)
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
    return exits.SUCCEEDED


def json_text(data: object) -> str:
    """JSON: indented on a terminal, one line elsewhere."""
    return json.dumps(data, ensure_ascii=False, indent=1 if sys.stdout.isatty() else None)
