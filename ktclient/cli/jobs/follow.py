"""`ktjob follow`: show progress, then stream the answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from ktclient.cli import exit_codes
from ktclient.cli.jobs import lookup, selection
from ktclient.cli.remote import stream_marks
from ktclient.cli.render import answer_text, job_details, output, progress_line, terminal, units
from ktclient.records import snapshot
from ktclient.records.phases import NOT_ANSWERING

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ktclient.api.job import Job
    from ktclient.cli.jobs.selection import Given
    from ktclient.records.snapshot import Snapshot


@click.command()
@selection.options
@click.option("--tail", is_flag=True, help="Print only text that arrives from now on.")
def follow(tail: bool, **given: Unpack[Given]) -> int:
    """Show a job's progress, then stream its answer. Ctrl-C only detaches.

    You can detach and follow again at any time: the text is printed from the beginning, or with
    --tail from now on. For a job that has ended, prints all its text and how it ended. Several jobs
    are followed one after another; with --all, those that have not ended.
    """
    from ktclient.api.selection import Selection
    from ktclient.records.selector import Scope

    wanted = selection.parse(given)
    scope = Scope.OPEN if wanted.is_all else Scope.ANY
    with selection.open_selected(wanted, scope) as (_, found):
        jobs = Selection.of_ids(job.id for job in found.jobs)
    ends = []
    for number, job in enumerate(jobs):
        if len(jobs) > 1:
            gap = "\n" if number else ""
            output.note(f"{gap}== job {job.id}: {answer_text.heading(job.status())}")
        try:
            end = _followed_to_end(job, tail)
        except KeyboardInterrupt:
            output.note(f"\n{_detached(jobs.ids[number:])}")
            raise
        _print_end(end)
        ends.append((end.state, end.cause))
    return exit_codes.code_of_jobs(ends)


def _detached(job_ids: Sequence[str]) -> str:
    named = " ".join(job_ids)
    return job_details.detached(job_ids[0], f"ktjob follow {named}")


def _followed_to_end(job: Job, tail: bool) -> Snapshot:
    end = job.status()
    if end.is_finished and not tail:
        _print_whole(end)
    elif not end.is_finished:
        end = _followed(job, tail)
    return end


def _print_whole(end: Snapshot) -> None:
    if text := _answer(end):
        stream_marks.attempt(end.attempt)
        output.print_answer(text)


def _answer(end: Snapshot) -> str:
    with lookup.open_job(end.id) as (store, job):
        return snapshot.answer(store, job)


def _followed(job: Job, tail: bool) -> Snapshot:
    """Show progress and text until the job ends. Returns its last snapshot."""
    attempt, is_live = 0, False
    with _Page() as page:
        for heard in job.followed(from_now=tail):
            now = heard.now
            if attempt and now.attempt != attempt:
                page.begin_anew(now, _why(job.id, attempt))
            if now.attempt != attempt:
                stream_marks.attempt(now.attempt)
            attempt = now.attempt
            if heard.is_recalled and page.begin_answer():
                stream_marks.attempt(now.attempt)
            page.show(now, heard.text)
            if not is_live:
                stream_marks.live()
            is_live = True
    return now


def _why(job_id: str, attempt: int) -> str:
    """The reason why an attempt ended, for people."""
    with lookup.open_job(job_id) as (store, job):
        messages = [one.message for one in store.attempts(job.id) if one.number == attempt]
    return next((message for message in messages if message), "it was lost")


class _Page:
    """A progress line until the first text, then the text.

    The progress line stays only if stderr is a terminal and the text goes elsewhere. A server that
    has not answered for a minute gets a line below the text in any case.
    """

    def __init__(self) -> None:
        self._drawn = ExitStack()
        self._line: progress_line.Line | None = None
        self._has_text = False
        self._stays = terminal.is_interactive() and not sys.stdout.isatty()

    def __enter__(self) -> _Page:
        return self

    def __exit__(self, *_: object) -> None:
        self._drawn.close()

    def show(self, now: Snapshot, text: str) -> None:
        """Show the current progress, and the text that is new."""
        if text:
            if not self._stays:
                self._drop_line()
            output.print_part(text)
            self._has_text = True
        if now.is_finished:
            self._end_text()
        elif self._stays or not self._has_text or now.phase == NOT_ANSWERING:
            self._draw(now)
        elif self._line is not None:
            self._drop_line()

    def begin_anew(self, now: Snapshot, why: str) -> None:
        """Announce another attempt: its text does not continue the text so far."""
        had_text = self._has_text
        self._end_text()
        void = " Discard the text so far: the answer starts again" if had_text else ""
        output.note(f"attempt {now.attempt} of {now.max_attempts} starts: {why}{void}")

    def begin_answer(self) -> bool:
        """Announce that the text so far was thought. False if there is none."""
        had_text = self._has_text
        self._end_text()
        if had_text:
            output.note("The text so far is what the model thought; its answer starts here:")
        return had_text

    def _draw(self, now: Snapshot) -> None:
        if self._line is None:
            if self._has_text and terminal.is_interactive() and not self._stays:
                output.note("")  # the progress line would overwrite the last line of the text
            self._line = self._drawn.enter_context(progress_line.line())
        self._line.job(now)

    def _drop_line(self) -> None:
        self._drawn.close()
        self._line = None

    def _end_text(self) -> None:
        self._drop_line()
        if self._has_text:
            output.print_part("\n")
        self._has_text = False


def _print_end(end: Snapshot) -> None:
    took = f"job {end.id} {end.state.lower()} after {units.duration(end.seconds())}"
    output.note(took if end.state == "SUCCEEDED" else job_details.final_line(end))
    answer_text.remark(end, _answer(end))
    if len(end.questions) > 1:
        output.note(f"note: each answer under its question: ktjob result {end.id}")
