"""Waiting for jobs, with progress, and printing their answers."""

from __future__ import annotations

from collections.abc import Sequence

from ktclient.cli import exit_codes
from ktclient.cli.jobs import lookup
from ktclient.cli.render import job_details, output, progress_line
from ktclient.records import snapshot
from ktclient.records.snapshot import Snapshot


def watch(job_id: str, timeout: float | None, *, is_silent: bool = False) -> Snapshot:
    """Wait for the job to end, with progress unless `is_silent`. Returns its last snapshot.

    `timeout` is in seconds; None waits without a limit. Raises `NotFinished` after it. Ctrl-C
    prints how to reattach and is raised again.
    """
    from ktclient.api.job import Job

    job = Job(job_id)
    now: Snapshot | None = None
    try:
        with progress_line.line(is_silent=is_silent) as line:
            for now in job.watch(timeout):
                if not now.is_finished:
                    line.job(now)
    except KeyboardInterrupt:
        output.note(f"\n{job_details.detached(job.id, f'ktjob wait {job.id}')}")
        raise
    assert now is not None
    return now


def wait_and_print(
    job_ids: Sequence[str], *, as_json: bool, quiet: bool = False, headings: Sequence[str] = ()
) -> int:
    """Wait for the jobs one by one and print each answer as soon as its job has ended.

    Several answers are printed under their headings, or under their questions if there are no
    `headings`. `quiet` leaves out progress and notes; failures are still reported. Returns the exit
    code of the first job that did not succeed, else 0.
    """
    from ktclient.cli.render import answer_text

    codes, records = [], []
    for number, job_id in enumerate(job_ids, 1):
        end = watch(job_id, None, is_silent=quiet)
        if end.state != "SUCCEEDED":
            output.note(job_details.final_line(end))
        with lookup.open_job(end.id) as (store, job):
            found = snapshot.output(store, job)
            text = found.answer
        codes.append(exit_codes.code_of_job(end.state, end.cause))
        if as_json:
            records.append(answer_text.record(end, found))
        elif len(job_ids) == 1:
            answer_text.print_text(end, text, raw=False)
        else:
            gap = "\n" if number > 1 else ""
            heading = headings[number - 1] if headings else end.questions[0]
            output.print_data(f"{gap}{number}. {heading}\n\n{answer_text.shown(end, text)}")
        if not quiet:
            answer_text.remark(end, text)
    if as_json:
        output.print_data(job_details.json_text(records[0] if len(records) == 1 else records))
    return next((code for code in codes if code != exit_codes.SUCCEEDED), exit_codes.SUCCEEDED)
