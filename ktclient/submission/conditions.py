"""What a submit says of a job besides the request: its label, and when it may start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs import clock
from jobs.model import Outcome
from jobs.store.store import Store
from ktclient import times
from ktclient.errors import BadInput

LONGEST_LABEL = 80


@dataclass(frozen=True)
class Conditions:
    """Nothing said: no label, and it starts as soon as it can."""

    label: str | None = None
    after: tuple[str, ...] = ()
    """Ids, or unique starts of them, of jobs that must have succeeded first."""
    at: datetime | None = None
    """Not before then; UTC."""

    @property
    def not_before(self) -> str | None:
        """As the store has it."""
        return None if self.at is None else clock.of(self.at)


def conditions(
    label: str | None = None,
    after: Sequence[str] = (),
    at: str | datetime | None = None,
) -> Conditions:
    """What was said, checked as far as that goes without the store. Raises `BadInput`."""
    if label is not None:
        label = label.strip()
        if not label or not label.isprintable():
            raise BadInput("a label is a line of text that can be read, and not empty")
        if len(label) > LONGEST_LABEL:
            raise BadInput(f"a label has {LONGEST_LABEL} characters at most, not {len(label)}")
    if isinstance(after, str):
        raise BadInput("after must be a list of ids")
    return Conditions(label, tuple(after), None if at is None else times.parse_future(at))


def needed(store: Store, after: Sequence[str]) -> tuple[str, ...]:
    """The whole ids of the jobs to start after. Raises `NoSuchJob`, `AmbiguousId`, and `BadInput`
    where one has ended without success: this one would never start."""
    found = [store.find(given) for given in after]
    for job in found:
        if job.outcome not in (None, Outcome.SUCCEEDED):
            why = f": {job.message}" if job.message else ""
            raise BadInput(
                f"job {job.id}, which this one is to start after, has ended as {job.state}{why}. "
                "Mend that and submit it again, or leave --after out; nothing was stored"
            )
    return tuple(dict.fromkeys(job.id for job in found))
