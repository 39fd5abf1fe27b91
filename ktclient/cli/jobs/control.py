"""Changing jobs that wait, and saying what was changed and what was not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ktclient import wording
from ktclient.cli import command_settings, exit_codes
from ktclient.cli.jobs import selection
from ktclient.cli.render import job_details, output
from ktclient.records.output_schema import SCHEMA

if TYPE_CHECKING:
    from jobs.model import Pause
    from ktclient.config.settings import Settings
    from ktclient.records.selector import Scope, Selector
    from ktclient.records.snapshot import Snapshot

_MOST_LINES = 5
Words = Callable[["Snapshot"], str]
Change = Callable[["Settings", Sequence[str]], Mapping[str, str]]
"""Changes jobs by their ids; returns why it refused some, by id."""


def change(wanted: Selector, scope: Scope, do: Change, words: Words, as_json: bool) -> int:
    """Change the jobs that are meant, and print what each of them is now. `scope` is that of jobs
    that are not named; `words`: about one that was changed. Returns the exit code: 1 if any was
    refused."""
    from ktclient.records import access, snapshot

    settings = command_settings.load()
    with selection.open_selected(wanted, scope) as (_, found):
        ids = [job.id for job in found.jobs]
    refused = do(settings, ids) if ids else {}
    with access.open_recovered(settings.state) as store:
        now = snapshot.of_jobs(store, store.jobs_of(ids))
    changed = [one for one in now if one.id not in refused]
    for why in refused.values():
        output.note(why)
    for one in changed if len(changed) <= _MOST_LINES else ():
        output.note(words(one))
    if len(changed) > _MOST_LINES or not now:
        output.note(f"{wording.count(len(changed), 'job')} changed")
    selection.note_passed_over(found, scope)
    if as_json:
        records = [one.to_dict() for one in now]
        output.print_data(job_details.json_text(records[0] if wanted.is_one else records))
    return exit_codes.FAILED if refused else exit_codes.SUCCEEDED


def pauses_json(found: Sequence[Pause]) -> str:
    """What is paused, as JSON."""
    paused = [{"server": one.pool, "since": one.since} for one in found]
    return job_details.json_text({"schema": SCHEMA, "paused": paused})


def hold(wanted: Selector, as_json: bool) -> int:
    """Hold the jobs that are meant."""
    from ktclient.records.selector import Scope
    from ktclient.submission import queue_control

    return change(wanted, Scope.WAITING, queue_control.hold, _held, as_json)


def release(wanted: Selector, as_json: bool) -> int:
    """Release the jobs that are meant."""
    from ktclient.records.selector import Scope
    from ktclient.submission import queue_control

    return change(wanted, Scope.HELD, queue_control.release, _released, as_json)


def _held(job: Snapshot) -> str:
    what = "no other part starts" if job.state == "RUNNING" else "it does not start"
    return f"job {job.id} is held: {what} before ktjob release {job.id}"


def _released(job: Snapshot) -> str:
    return f"job {job.id} is released" + (f"; {job.blocked}" if job.blocked else "")
