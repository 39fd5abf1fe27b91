"""What a submit sets besides the request: the job's label, and when it may start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs import clock
from jobs.model import Outcome
from jobs.store.store import Store
from ktclient import times
from ktclient.errors import BadInput
from ktclient.records import selector

LONGEST_LABEL = 80


@dataclass(frozen=True)
class Conditions:
    """By default: no label, and the job starts as soon as it can."""

    label: str | None = None
    after: tuple[str, ...] = ()
    """Ids, unique prefixes of ids, or "@last", of jobs that must succeed first."""
    at: datetime | None = None
    """Not before then; UTC."""
    delay_seconds: float | None = None
    """How long from now that is, if it was given so ("+2h")."""

    @property
    def not_before(self) -> str | None:
        """`at` in the store's format."""
        return None if self.at is None else clock.of(self.at)


def conditions(
    label: str | None = None,
    after: Sequence[str] = (),
    at: str | datetime | None = None,
) -> Conditions:
    """The conditions, checked as far as possible without the store. Raises `BadInput`."""
    if label is not None:
        label = label.strip()
        if not label or not label.isprintable():
            raise BadInput("a label must be one line of printable text, and not empty")
        if len(label) > LONGEST_LABEL:
            raise BadInput(f"a label may have at most {LONGEST_LABEL} characters, not {len(label)}")
    if isinstance(after, str):
        raise BadInput("after must be a list of ids")
    moment = None if at is None else times.parse_future(at)
    return Conditions(label, tuple(after), moment, times.span(at))


def needed(store: Store, after: Sequence[str]) -> tuple[str, ...]:
    """The full ids of the jobs to start after. Raises `NoSuchJob`, `AmbiguousId`, and `BadInput`
    if one has ended without success: this job would never start."""
    found = [selector.one(store, given) for given in after]
    for job in found:
        if job.outcome not in (None, Outcome.SUCCEEDED):
            why = f": {job.message}" if job.message else ""
            raise BadInput(
                f"job {job.id}, which this job is to start after, ended as {job.state}{why}. "
                "Fix that and submit it again, or omit --after; nothing was stored"
            )
    return tuple(dict.fromkeys(job.id for job in found))
