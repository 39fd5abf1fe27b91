"""Several jobs in one line: how many are done, and how long the others will take."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.quick_dataclass import record
from ktclient import wording
from ktclient.records.snapshot import Snapshot


@record(frozen=True)
class Tally:
    """Numbers of jobs by state, and the time that the open ones need."""

    total: int
    succeeded: int
    failed: int
    """Failed, lost or cancelled."""
    running: int
    seconds_left: float | None
    """None before the first one has succeeded, and if none is open."""

    @property
    def done(self) -> int:
        """Ended in any state."""
        return self.succeeded + self.failed

    def in_words(self) -> str:
        """ "18 of 30 done, 1 failed, 2 running, about 4 min left"."""
        parts = [f"{self.done:,} of {self.total:,} done"]
        parts += [f"{self.failed:,} failed"] if self.failed else []
        parts += [f"{self.running:,} running"] if self.running else []
        if self.seconds_left is not None:
            parts.append(f"about {wording.spoken(self.seconds_left)} left")
        return ", ".join(parts)


def of(jobs: Sequence[Snapshot], now: str | None = None) -> Tally:
    """The tally of these jobs. `now`: UTC, ISO 8601; None: by the clock."""
    succeeded = sum(job.state == "SUCCEEDED" for job in jobs)
    ended = sum(job.is_finished for job in jobs)
    running = sum(job.state == "RUNNING" for job in jobs)
    return Tally(len(jobs), succeeded, ended - succeeded, running, _seconds_left(jobs, now))


def _seconds_left(jobs: Sequence[Snapshot], now: str | None) -> float | None:
    """By the time per token of those that succeeded; as many as run now run in parallel."""
    answered = [job for job in jobs if job.state == "SUCCEEDED"]
    left = [job for job in jobs if not job.is_finished]
    if not (answered and left):
        return None
    per_token = sum(job.seconds() for job in answered) / sum(map(_tokens, answered))
    each = (max(0.0, _tokens(job) * per_token - job.seconds(now)) for job in left)
    return sum(each) / max(1, sum(job.state == "RUNNING" for job in left))


def _tokens(job: Snapshot) -> int:
    """The size of its request as counted at submit; 1 where it was not counted."""
    return max(1, job.counted[1]) if job.counted else 1
