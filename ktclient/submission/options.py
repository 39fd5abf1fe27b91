"""The options of a job besides its request: label, conditions, priority, notifications."""

from __future__ import annotations

from dataclasses import dataclass, field

from jobs.model import NewRequest
from ktclient.planning.options import RequestOptions
from ktclient.submission.conditions import Conditions


@dataclass(frozen=True)
class SubmitOptions:
    """A request, and how its job is queued. One job per task and document."""

    request: RequestOptions
    priority: int = 0
    """Jobs of a higher priority start first."""
    conditions: Conditions = field(default_factory=Conditions)
    notifications: tuple[tuple[str, str], ...] = ()
    """(channel, target) of each, as returned by `notify.delivery.parse_targets`."""
    key: str | None = None
    """The idempotency key: a submit under a known key stores nothing again."""
    submit_key: str | None = None
    """That of the only job, as the store knows it; instead of `key`."""
    http_request: NewRequest | None = None
    """The request that the jobs came with, if they came over HTTP."""
