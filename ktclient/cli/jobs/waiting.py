"""Waiting for jobs, with progress, and printing their answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ktclient import wording
from ktclient.cli import exit_codes
from ktclient.cli.jobs import lookup
from ktclient.cli.render import job_details, output, progress_line
from ktclient.records import snapshot
from ktclient.records.snapshot import Snapshot

if TYPE_CHECKING:
    from ktclient.answers.thoughts import Divided

_MOST_LINES = 5


def watch(job_id: str, timeout: float | None, *, is_silent: bool = False) -> Snapshot:
    """Wait for the job to end, with progress unless `is_silent`. Returns its last snapshot.

    `timeout` is in seconds; None waits without a limit. Raises `NotFinished` after it. Ctrl-C
    prints how to reattach and is raised again.
    """
    return watch_all([job_id], timeout, is_silent=is_silent)[0]


def watch_all(
    job_ids: Sequence[str], timeout: float | None, *, is_silent: bool = False, named: str = ""
) -> list[Snapshot]:
    """The same for several jobs, with one line of progress. Returns their last snapshots in order.
    `named`: the words that stand for all of them."""
    from ktclient.api.selection import Selection

    now: list[Snapshot] = []
    try:
        with progress_line.line(is_silent=is_silent) as line:
            for now in Selection.of_ids(job_ids).watch(timeout):
                if any(not one.is_finished for one in now):
                    line.jobs(now)
    except KeyboardInterrupt:
        output.note(f"\n{_detached(job_ids, named)}")
        raise
    return now


def _ends(
    job_ids: Sequence[str], timeout: float | None, *, is_silent: bool
) -> Iterator[tuple[Snapshot, Divided]]:
    """The last snapshot and the output of each job, in order, as soon as it has ended."""
    from ktclient.api.selection import Selection

    looks = Selection.of_ids(job_ids).watch(timeout)
    now = next(looks)
    for number in range(len(job_ids)):
        try:
            with progress_line.line(is_silent=is_silent) as line:
                while not now[number].is_finished:
                    line.jobs(now)
                    now = next(looks)
        except KeyboardInterrupt:
            output.note(f"\n{_detached(job_ids[number:])}")
            raise
        with lookup.open_job(now[number].id) as (store, job):
            found = snapshot.output(store, job)
        yield now[number], found


def _detached(job_ids: Sequence[str], named: str = "") -> str:
    if len(job_ids) == 1:
        return job_details.detached(job_ids[0], f"ktjob wait {job_ids[0]}")
    again = named or " ".join(job_ids)
    return f"detached; the jobs are still running. Reattach: ktjob wait {again}"


def print_ends(ends: Sequence[Snapshot]) -> None:
    """How the jobs ended: a line for each, or if there are many, for those without success."""
    for end in ends:
        if len(ends) <= _MOST_LINES or end.state != "SUCCEEDED":
            output.note(job_details.final_line(end))
    if len(ends) > _MOST_LINES:
        succeeded = sum(end.state == "SUCCEEDED" for end in ends)
        output.note(f"{succeeded:,} of {wording.count(len(ends), 'job')} succeeded")


def wait_and_print(
    job_ids: Sequence[str],
    *,
    as_json: bool,
    quiet: bool = False,
    headings: Sequence[str] = (),
    timeout: float | None = None,
    is_list: bool = False,
) -> int:
    """Wait for the jobs in their order and print each answer as soon as its job has ended.

    Several answers are printed under their headings, or under their questions if there are no
    `headings`. `quiet` leaves out progress and notes; failures are still reported. `is_list`: JSON
    is a list also of one. Returns the exit code of the first job that did not succeed, else 0.
    Raises `NotFinished` after `timeout` seconds.
    """
    from ktclient.cli.render import answer_text

    ends, records = [], []
    for number, (end, found) in enumerate(_ends(job_ids, timeout, is_silent=quiet), 1):
        if end.state != "SUCCEEDED":
            output.note(job_details.final_line(end))
        ends.append((end.state, end.cause))
        if as_json:
            records.append(answer_text.record(end, found))
        elif len(job_ids) == 1:
            answer_text.print_text(end, found.answer, raw=False)
        else:
            gap = "\n" if number > 1 else ""
            heading = headings[number - 1] if headings else answer_text.heading(end)
            text = answer_text.shown(end, found.answer)
            output.print_answer(f"{gap}{number}. {heading}\n\n{text}")
        if not quiet:
            answer_text.remark(end, found.answer)
    if as_json:
        is_one = len(records) == 1 and not is_list
        output.print_data(job_details.json_text(records[0] if is_one else records))
    return exit_codes.code_of_jobs(ends)
