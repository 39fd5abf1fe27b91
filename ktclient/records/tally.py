"""Several jobs in one line: how many are done, and how long the others will take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from jobs.quick_dataclass import record
from ktclient import wording
from ktclient.records import blocks
from ktclient.records.snapshot import Snapshot

if TYPE_CHECKING:
    from jobs.store.groups import Group
    from ktclient.records.blocks import BlockedGroup


@record(frozen=True)
class Tally:
    """Numbers of jobs by state, and the time that the open ones need."""

    total: int
    succeeded: int
    failed: int
    """Failed, lost or cancelled."""
    cancelled: int
    """Of these, cancelled."""
    running: int
    seconds_left: float | None
    """None before the first one has succeeded, if none is open, and if one is held or paused: it
    takes until somebody lets it start."""
    held: int = 0
    """Of those that have not ended."""
    paused: int = 0
    """Queued, and kept from starting by a pause."""

    @property
    def done(self) -> int:
        """Ended in any state."""
        return self.succeeded + self.failed

    def in_words(self) -> str:
        """ "18 of 30 done, 1 failed, 2 running, about 4 min left"."""
        parts = [f"{self.done:,} of {self.total:,} done"]
        failed = self.failed - self.cancelled
        parts += [f"{failed:,} failed"] if failed else []
        parts += [f"{self.cancelled:,} cancelled"] if self.cancelled else []
        parts += [f"{self.running:,} running"] if self.running else []
        parts += [f"{self.held:,} held"] if self.held else []
        parts += [f"{self.paused:,} paused"] if self.paused else []
        if self.seconds_left is not None:
            parts.append(f"about {wording.spoken(self.seconds_left)} left")
        return ", ".join(parts)


def of(jobs: Sequence[Snapshot], now: str | None = None) -> Tally:
    """The tally of these jobs. `now`: UTC, ISO 8601; None: by the clock."""
    succeeded = sum(job.state == "SUCCEEDED" for job in jobs)
    ended = sum(job.is_finished for job in jobs)
    running = sum(job.state == "RUNNING" for job in jobs)
    cancelled = sum(job.state == "CANCELLED" for job in jobs)
    kinds = [job.blocked_by for job in jobs if job.blocked_by and not job.is_finished]
    left = None if kinds else _seconds_left(jobs, now)
    held = kinds.count(blocks.HELD)
    paused = len(kinds) - held
    return Tally(len(jobs), succeeded, ended - succeeded, cancelled, running, left, held, paused)


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


def blocked(jobs: Sequence[Snapshot]) -> str:
    """Why some of these jobs do not start, in short, with the commands that let them; empty where
    none is kept from it. Held jobs of one group are released together."""
    held = [job for job in jobs if job.blocked_by == blocks.HELD]
    group = held[0].group if held else None
    if group is None or len(held) < 2 or any(job.group != group for job in held):
        return blocks.in_short(job.blocked for job in jobs)
    since = min(job.held_at for job in held if job.held_at is not None)
    others = (job.blocked for job in jobs if job.blocked_by != blocks.HELD)
    return blocks.in_short([str(blocks.of_holds(len(held), since, group)), *others])


def of_group(group: Group, blocked: BlockedGroup | None = None) -> Tally:
    """The tally of a group, by its numbers in the store: the time by the weights of its jobs."""
    failed = group.total - group.queued - group.running - group.succeeded
    seconds = None
    paused = 0 if blocked is None else blocked.paused
    if group.weight and group.weight_left and not (group.held or paused):
        whole = group.weight_left * group.seconds / group.weight
        seconds = max(0.0, whole - group.seconds_begun) / max(1, group.running)
    running, cancelled = group.running, group.cancelled
    return Tally(
        group.total, group.succeeded, failed, cancelled, running, seconds, group.held, paused
    )


def in_one(group: Group, first: Snapshot, blocked: BlockedGroup | None = None) -> Snapshot:
    """A group as one record, for tables and messages: its id, its state, and how far it is. `first`
    is its first job; `blocked`: what keeps some of its jobs from starting."""
    tally = of_group(group, blocked)
    is_ended = tally.done == tally.total
    failed = _without_success(tally) if is_ended and tally.failed else None
    return replace(
        first,
        id=group.id,
        state=_state(group),
        title=f"{wording.count(tally.total, 'job')}: {first.title}",
        phase=f"{tally.done:,} of {tally.total:,} done",
        done=tally.done,
        total=tally.total,
        unit="jobs",
        cancel_requested=False,
        cause=failed,
        message=failed,
        created_at=group.created_at,
        started_at=group.started_at,
        finished_at=group.finished_at,
        phase_at=None,
        figures={},
        tokens_per_second=None,
        eta_seconds=tally.seconds_left,
        counted=None,
        parent=None,
        group=None,
        waits_for=(),
        parts_progress=None,
        held_at=group.held_at,
        blocked_by=None if blocked is None else blocked.block.kind,
        blocked=None if blocked is None else str(blocked.block),
    )


def _without_success(tally: Tally) -> str:
    """ "1 of 3 failed, 1 cancelled"."""
    failed = tally.failed - tally.cancelled
    if not failed:
        return f"{tally.cancelled:,} of {tally.total:,} cancelled"
    more = f", {tally.cancelled:,} cancelled" if tally.cancelled else ""
    return f"{failed:,} of {tally.total:,} failed{more}"


def _state(group: Group) -> str:
    """That of a job, as far as it can be said of several: what runs or failed comes first."""
    if group.running:
        return "RUNNING"
    if group.queued:
        return "QUEUED"
    if group.succeeded == group.total:
        return "SUCCEEDED"
    return "CANCELLED" if group.succeeded + group.cancelled == group.total else "FAILED"
