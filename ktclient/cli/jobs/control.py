"""Changing jobs that wait, and saying what was changed and what was not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ktclient.cli import command_settings, exit_codes
from ktclient.cli.render import job_details, output
from ktclient.records.output_schema import SCHEMA

if TYPE_CHECKING:
    from jobs.model import Pause
    from ktclient.config.settings import Settings
    from ktclient.records.snapshot import Snapshot

Change = Callable[["Settings", Sequence[str]], Mapping[str, str]]
"""Changes jobs by their ids; returns why it refused some, by id."""


def change(
    given: Sequence[str], do: Change, words: Callable[[Snapshot], str], as_json: bool
) -> int:
    """Change the jobs whose ids begin so, and print what each of them is now. `words`: about one
    that was changed. Returns the exit code: 1 if any was refused."""
    from ktclient.records import access, snapshot

    settings = command_settings.load()
    with access.open_recovered(settings.state, given[0]) as store:
        ids = list(dict.fromkeys(store.find(one).id for one in given))
    refused = do(settings, ids)
    with access.open_recovered(settings.state) as store:
        now = snapshot.of_jobs(store, [store.job(job_id) for job_id in ids])
    for one in now:
        output.note(refused.get(one.id) or words(one))
    if as_json:
        records = [one.to_dict() for one in now]
        output.print_data(job_details.json_text(records[0] if len(records) == 1 else records))
    return exit_codes.FAILED if refused else exit_codes.SUCCEEDED


def pauses_json(found: Sequence[Pause]) -> str:
    """What is paused, as JSON."""
    paused = [{"server": one.pool, "since": one.since} for one in found]
    return job_details.json_text({"schema": SCHEMA, "paused": paused})


def hold(given: Sequence[str], as_json: bool) -> int:
    """Hold the jobs whose ids begin so."""
    from ktclient.submission import queue_control

    return change(given, queue_control.hold, _held, as_json)


def release(given: Sequence[str], as_json: bool) -> int:
    """Release the jobs whose ids begin so."""
    from ktclient.submission import queue_control

    return change(given, queue_control.release, _released, as_json)


def _held(job: Snapshot) -> str:
    what = "its parts that wait are held" if job.state == "RUNNING" else "it does not start"
    return f"job {job.id} is held: {what} before ktjob release {job.id}"


def _released(job: Snapshot) -> str:
    return f"job {job.id} is released" + (f"; {job.blocked}" if job.blocked else "")
