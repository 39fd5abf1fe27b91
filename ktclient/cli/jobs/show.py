"""`ktjob show`: everything that is known about one job."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import click

from jobs import clock, durations
from jobs.model import Attempt, Event, Job
from ktclient import wording
from ktclient.cli import command_settings
from ktclient.cli.jobs import selection
from ktclient.cli.render import job_details, output, part_tree, terminal_text, units
from ktclient.records import kinds, next_steps, snapshot
from ktclient.records.next_steps import Step
from ktclient.records.snapshot import Snapshot
from ktclient.submission import parts as job_parts
from ktclient.submission.parts import Part

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from jobs.store.store import Store
    from ktclient.cli.jobs.selection import Given

_EVENTS = 20


@dataclass(frozen=True)
class _Record:
    """The stored data of a job at one moment."""

    job: Job
    now: Snapshot
    attempts: list[Attempt]
    events: list[Event]
    characters: int
    thoughts: int
    """Characters of thoughts."""
    log: str
    parts: list[Part]

    @property
    def steps(self) -> list[Step]:
        """The suggested next commands."""
        is_own = next_steps.is_own_server(command_settings.state(), self.now)
        return next_steps.steps(self.now, has_text=self.characters > 0, is_own_server=is_own)


@click.command()
@selection.options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or a list.")
def show(as_json: bool, **given: Unpack[Given]) -> None:
    """Show everything about jobs: request, attempts with figures, events and next commands."""
    wanted = selection.parse(given)
    with selection.open_selected(wanted) as (store, found):
        told = [_read(store, job) for job in found.jobs]
    if as_json:
        records = list(map(_record, told))
        output.print_data(job_details.json_text(records[0] if wanted.is_one else records))
    elif told:
        output.print_lines("\n\n\n".join(map(_in_words, told)))
    else:
        output.note("no jobs yet")


def _read(store: Store, job: Job) -> _Record:
    found = snapshot.output(store, job)
    return _Record(
        job=job,
        now=snapshot.of_job(store, job),
        attempts=store.attempts(job.id),
        events=store.events(job.id),
        characters=len(found.answer),
        thoughts=len(found.thoughts),
        log=str(command_settings.state().job_log(job.id)),
        parts=job_parts.read(store, job),
    )


def _record(told: _Record) -> dict[str, object]:
    spec = json.loads(told.job.spec)
    return {
        **told.now.to_dict(),
        "instruction": spec["task"]["text"],
        "remarks": _remarks(told.job),
        "characters": told.characters,
        "log": told.log,
        "parts": [part.to_dict() for part in told.parts],
        "attempts": [_attempt_record(attempt) for attempt in told.attempts],
        "events": list(map(job_details.event_record, told.events)),
        "next": [asdict(step) for step in told.steps],
    }


def _remarks(job: Job) -> list[str]:
    """How the document was read; older versions have stored none."""
    return [str(one) for one in json.loads(job.spec)["task"].get("remarks", [])]


def _attempt_record(attempt: Attempt) -> dict[str, object]:
    record = asdict(attempt)
    del record["job_id"], record["worker"]
    return {**record, "pid": attempt.worker.pid}


def _in_words(told: _Record) -> str:
    job = told.job
    lines = [job_details.block(told.now)]
    lines += [_field("note", terminal_text.one_line(text)) for text in _remarks(job)]
    if told.now.task == "prompt":
        lines.append(_field("prompt", terminal_text.one_line(json.loads(job.spec)["task"]["text"])))
    lines.append(
        _field(
            "limits",
            f"{told.now.max_tokens:,} output tokens, {durations.exact(told.now.timeout)} s, "
            f"{_attempts(job)}; priority {job.priority}",
        )
    )
    if job.parent is not None:
        lines.append(_field("part", f"{job.part} of job {job.parent}"))
    if job.pool != kinds.POOL and not told.now.imported:
        reserved = wording.count(job.weight, "token")
        lines.append(_field("reserves", f"up to {reserved} of the server's KV pool (upper bound)"))
    if told.characters:
        lines.append(_field("answer", f"{wording.count(told.characters, 'character')}"))
    if told.thoughts:
        lines.append(_field("thoughts", f"{wording.count(told.thoughts, 'character')}"))
    lines.append(_field("log", told.log))
    lines += ["", *part_tree.lines(told.parts)] if told.parts else []
    for attempt in told.attempts:
        lines += ["", *_attempt_lines(attempt)]
    lines += ["", *_event_lines(told), ""]
    if received := job_details.received(told.events):
        lines += [*received, ""]
    lines += [_field("next", f"{step.command}    {step.why}") for step in told.steps]
    return "\n".join(lines)


def _attempts(job: Job) -> str:
    """The limit on attempts; a job with parts sends no request itself, so that of its parts."""
    plan = job_parts.plan_of(job)
    if plan is None:
        return wording.count(job.max_attempts, "attempt")
    return f"{wording.count(plan.attempts, 'attempt')} for each part"


def _field(name: str, text: str) -> str:
    return f"{name:<10} {text}"


def _attempt_lines(attempt: Attempt) -> list[str]:
    """An attempt for people: its start, duration, progress, outcome and figures."""
    seconds = clock.seconds_between(attempt.started_at, attempt.ended_at or clock.now())
    text = (
        f"{units.local_time(attempt.started_at)}, {units.duration(max(0.0, seconds))}, "
        f"process {attempt.worker.pid}: {(attempt.outcome or 'running').lower()}"
    )
    if attempt.outcome != "SUCCEEDED":
        text += f' in phase "{terminal_text.one_line(attempt.phase)}"'
        if attempt.done is not None and attempt.outcome is not None:
            of = f" of {attempt.total:,}" if attempt.total else ""
            text += f", {attempt.done:,}{of} {attempt.unit or ''}".rstrip()
    lines = [_field("attempt", f"{attempt.number}  {text}")]
    if attempt.message:
        lines.append(_field("", f"   {terminal_text.one_line(attempt.message)} [{attempt.cause}]"))
    measured = {name: value for name, value in attempt.figures.items() if value is not None}
    figures = (
        f"{job_details.NAMES.get(name, name.replace('_', ' '))} {_figure(value)}"
        for name, value in measured.items()
        if name not in ("eta_at", snapshot.PREFILL_SAMPLES, kinds.PROBLEMS)
    )
    lines += [_field("", f"   {figure}") for figure in figures]
    return lines


def _figure(value: object) -> str:
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, (int, float)):
        return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
    return terminal_text.one_line(value if isinstance(value, str) else json.dumps(value))


def _event_lines(told: _Record) -> list[str]:
    hidden = len(told.events) - _EVENTS
    lines = [_field("events", f"{hidden} earlier: ktjob logs {told.job.id}")] if hidden > 0 else []
    for event in told.events[-_EVENTS:]:
        told_above = {name: value for name, value in event.data.items() if name != "message"}
        words = terminal_text.one_line(job_details.event_line(replace(event, data=told_above)))
        name = "" if lines else "events"
        lines.append(_field(name, f"{units.local_time(event.at)}  {words}"))
    return lines
