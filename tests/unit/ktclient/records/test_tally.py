"""Several jobs in one line."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from jobs.store.groups import Group
from ktclient.records import tally
from ktclient.records.snapshot import Snapshot

QUEUED = Snapshot(
    **{name: None for name in Snapshot.__dataclass_fields__ if name != "figures"},  # type: ignore[arg-type]
    figures={},
)
QUEUED = replace(QUEUED, state="QUEUED", counted=(900, 1000, 1100))


NOW = "2026-11-30T08:10:00.000000Z"


def started(state: str, seconds: int, tokens: int = 1000) -> Snapshot:
    """A job that ran for so long, or runs since then."""
    job = replace(QUEUED, state=state, counted=(tokens, tokens, tokens))
    if state == "RUNNING":
        return replace(job, started_at=f"2026-11-30T08:09:{60 - seconds:02}.000000Z")
    return replace(
        job,
        started_at="2026-11-30T08:00:00.000000Z",
        finished_at=f"2026-11-30T08:00:{seconds:02}.000000Z",
    )


def test_they_are_counted_by_state() -> None:
    """No time is said before one has succeeded."""
    jobs = [QUEUED, started("RUNNING", 5), started("FAILED", 3), started("CANCELLED", 1)]
    now = tally.of(jobs, NOW)
    assert now.in_words() == "2 of 4 done, 1 failed, 1 cancelled, 1 running"
    assert now.seconds_left is None
    assert tally.of([started("SUCCEEDED", 3)]).in_words() == "1 of 1 done"


@pytest.mark.parametrize(("total", "words"), [(1, "1 job: a.txt"), (1000, "1,000 jobs: a.txt")])
def test_a_group_is_named_by_its_count_and_its_first_job(total: int, words: str) -> None:
    """One of which only one job is left, too: of an import, or after the others were deleted."""
    numbers = {field.name: 0 for field in fields(Group)} | {"total": total, "queued": total}
    group = Group(**numbers | {"id": "g-abcdef", "first": "abcdefgh", "created_at": NOW})  # type: ignore[arg-type]
    assert tally.in_one(group, replace(QUEUED, title="a.txt")).title == words


@pytest.mark.parametrize(
    ("jobs", "seconds"),
    [
        ([started("SUCCEEDED", 10), QUEUED], 10),
        ([started("SUCCEEDED", 10), replace(QUEUED, counted=(0, 3000, 0))], 30),
        ([started("SUCCEEDED", 10), started("RUNNING", 4), QUEUED], 16),
        ([started("SUCCEEDED", 10), started("RUNNING", 59)], 0),
        ([started("SUCCEEDED", 8), *[started("RUNNING", 1)] * 2, QUEUED, QUEUED], 15),
    ],
)
def test_the_time_left_goes_by_the_tokens_of_those_that_succeeded(
    jobs: list[Snapshot], seconds: float
) -> None:
    """As many as run now run in parallel."""
    assert tally.of(jobs, NOW).seconds_left == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (["held"], "1 of 3 done, 1 held"),
        (["queue", "server"], "1 of 4 done, 2 paused"),
        (["held", "queue"], "1 of 4 done, 1 held, 1 paused"),
    ],
)
def test_no_time_is_left_for_what_does_not_start_by_itself(kinds: list[str], words: str) -> None:
    """It takes until somebody releases or resumes it, however fast the others were."""
    blocked = [replace(QUEUED, blocked_by=kind) for kind in kinds]
    now = tally.of([started("SUCCEEDED", 10), QUEUED, *blocked], NOW)
    assert (now.seconds_left, now.in_words()) == (None, words)
