"""`ktjob status`, `wait`, `logs` and `cancel`: what becomes of jobs. Answers: answering.py."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from jobs import starting
from ktclient import config, snapshot, truth
from ktclient.cli import exits, live, screen
from ktclient.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.layout import StateDir
    from jobs.model import Event, Job
    from jobs.store import Store

_NEWEST = 20
_CANCEL_SECONDS = 30.0


@contextmanager
def job_by(prefix: str) -> Iterator[tuple[Store, Job]]:
    with truth.told(config.load().state) as store:
        yield store, store.find(prefix)


@click.command()
@click.argument("job_id", metavar="[ID]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object, or a list.")
def status(job_id: str | None, as_json: bool) -> None:
    """Show one job in full, or the last 20. A unique start of an id is enough."""
    if job_id is not None:
        with job_by(job_id) as (store, job):
            one = snapshot.take(store, job)
        screen.put(json_text(one.to_dict()) if as_json else in_full(one))
        return
    settings = config.load()
    jobs: list[Snapshot] = []
    if settings.state.database.exists():  # looking creates nothing
        with truth.told(settings.state) as store:
            jobs = [snapshot.take(store, job) for job in store.newest(_NEWEST)]
    if as_json:
        screen.put(json_text([job.to_dict() for job in jobs]))
    elif jobs:
        screen.put(_listed(jobs))
        _warn_of_stopped_runner(settings.state, jobs)
    else:
        screen.say("no jobs yet; hand one over with: ktjob submit FILE --summarize")


def _warn_of_stopped_runner(state: StateDir, jobs: list[Snapshot]) -> None:
    stopped = starting.stopped_runner(state)
    if stopped is not None and any(job.state == "QUEUED" for job in jobs):
        screen.say(
            f"the runner (process {stopped.pid}) is stopped and starts no jobs; let it go on with: "
            f"kill -CONT {stopped.pid}"
        )


def _listed(jobs: list[Snapshot]) -> str:
    rows = [("ID", "STATE", "PHASE", "PROGRESS", "SPEED", "FIRST WORD", "ELAPSED", "DOCUMENT")]
    for job in jobs:
        running = job.state == "RUNNING"
        phase = "cancelling" if job.cancel_requested else job.phase or ""
        rows.append(
            (
                job.id,
                job.state,
                phase if running else "",
                screen.progress(job) if running else "",
                screen.speed(job) if running else "",
                screen.remaining(job) if running else "",
                screen.duration(job.seconds()) if job.started_at else "",
                screen.one_line(job.title),
            )
        )
    kept = [i for i in range(len(rows[0])) if any(row[i] for row in rows[1:])]
    return screen.table([[row[i] for i in kept] for row in rows])


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
def wait(job_id: str, timeout: float | None) -> int:
    """Wait for a job to end, showing its progress. Ctrl-C only detaches."""
    end = watch(job_id, timeout)
    screen.say(ending(end))
    return exits.code_of_job(end.state, end.cause)


def watch(job_id: str, timeout: float | None, *, is_silent: bool = False) -> Snapshot:
    """The job's end, with progress until then unless `is_silent`. Raises `NotFinished`; an
    interrupt says how to come back."""
    from ktclient.submit import Job

    job = Job(job_id)
    now: Snapshot | None = None
    try:
        with live.line(is_silent=is_silent) as line:
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
def logs(job_id: str) -> None:
    """Show what happened to a job, step by step, and what its worker logged."""
    settings = config.load()
    with job_by(job_id) as (store, job):
        events = store.events(job.id)
    for event in events:
        screen.put(f"{screen.local_time(event.at)}  {told(event)}")
    log = settings.state.job_log(job.id)
    if log.exists() and (text := log.read_text(errors="replace").strip()):
        screen.put(f"-- {log}\n{text}")


def told(event: Event) -> str:
    """An event in words."""
    if event.kind == "phase":
        return f"phase {event.data['phase']}"
    details = ", ".join(f"{name} {value}" for name, value in event.data.items())
    return f"{event.kind} ({details})" if details else event.kind


@click.command()
@click.argument("job_id", metavar="ID")
def cancel(job_id: str) -> int:
    """End a job: a queued one at once, a running one within a few seconds."""
    from ktclient.submit import Job

    job = Job(job_id)
    before = job.status()
    if before.is_finished:
        screen.say(f"job {job.id} had already ended: {before.state}")
        return exits.SUCCEEDED
    job.cancel()
    job.wait(_CANCEL_SECONDS)
    now = job.status()
    screen.say(ending(now) if now.state != "CANCELLED" else f"job {job.id} cancelled")
    return exits.SUCCEEDED


def json_text(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, indent=1 if sys.stdout.isatty() else None)
