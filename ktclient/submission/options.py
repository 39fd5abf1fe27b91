"""What is stored with a request besides itself: label, conditions, priority, who is notified."""

from __future__ import annotations

from dataclasses import dataclass, field

from ktclient.planning.options import RequestOptions
from ktclient.submission.conditions import Conditions


@dataclass(frozen=True)
class SubmitOptions:
    """A request, and how its job is to be queued. One job per task and document."""

    request: RequestOptions
    priority: int = 0
    """Jobs of a higher priority start first."""
    conditions: Conditions = field(default_factory=Conditions)
    notifications: tuple[tuple[str, str], ...] = ()
    """(channel, target) of each: what `notify.delivery.parse_targets` gives."""
    key: str | None = None
    """The idempotency key: what was submitted under it before is not stored again."""
