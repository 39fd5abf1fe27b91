"""Show progress while a command waits: a live line on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ktclient.cli.render import job_activity, output, terminal, terminal_text

if TYPE_CHECKING:
    from rich.status import Status

    from ktclient.records.snapshot import Snapshot

_PLAIN_STEP = 0.25
_SPINNER_CELLS = 2
_LEAST_DOWNLOAD = 1_000_000
"""Bytes: what is downloaded is larger, and no command gets so many documents."""


class Line:
    """One line with the current progress."""

    def __init__(self, status: Status | None, *, is_silent: bool = False) -> None:
        self._status = status
        self._is_silent = is_silent
        self._said: tuple[str, int] | None = None

    def job(self, job: Snapshot) -> None:
        """Show a job's activity. In a log, print a line per phase, per quarter of progress, and
        when the job is paused or resumed."""
        phase = f"{job.phase or job.shown_state} {job.blocked_by or ''}"
        # With parts, progress goes over all of them.
        parts = job.parts_progress
        done, total = (job.done, job.total) if parts is None else (parts.tokens_read, parts.tokens)
        text = job_activity.activity(job, None if self._status is None else _room())
        self._show(text, phase, done, total)

    def jobs(self, jobs: Sequence[Snapshot]) -> None:
        """The same for several jobs in one line: how many have ended, and the time left."""
        if len(jobs) == 1:
            self.job(jobs[0])
            return
        from ktclient.records import tally

        now = tally.of(jobs)
        blocked = tally.blocked(jobs)
        why = f"; {blocked}" if blocked else ""
        self._show(f"{now.in_words()}{why}", why, now.done, now.total)

    def download(self, what: str, done: int, total: int) -> None:
        """Show the progress of a download, in bytes; or, on a terminal, of documents that are
        counted."""
        if 1 < total < _LEAST_DOWNLOAD:
            if self._status is not None:
                self._show(f"{what}: {done:,} of {total:,}", what, done, total)
            return
        amount = f" {done / 1e6:,.0f} of {total / 1e6:,.0f} MB" if total > 1 else ""
        self._show(f"{what}{amount}", what, done, total)

    def start(self, text: str, stage: str, done: int | None, total: int | None) -> None:
        """Show the progress of a server's start; `stage` names its current step."""
        self._show(text, stage, done, total)

    def _show(self, text: str, phase: str, done: int | None, total: int | None) -> None:
        if self._is_silent:
            return
        if self._status is not None:
            from rich.text import Text

            line = terminal_text.safe(text)
            self._status.update(Text(line, no_wrap=True, overflow="ellipsis"))
            return
        step = int(done / total / _PLAIN_STEP) if done and total else 0
        if (phase, step) != self._said:
            self._said = (phase, step)
            output.note(f"  {text}")


def _room() -> int:
    """The cells beside the spinner, on one line of the terminal."""
    import shutil  # not for commands that only look

    return shutil.get_terminal_size().columns - _SPINNER_CELLS


@contextmanager
def line(*, is_silent: bool = False) -> Iterator[Line]:
    """A progress line while the block runs; a silent one prints nothing."""
    if is_silent or not terminal.is_interactive():
        yield Line(None, is_silent=is_silent)
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield Line(status)
