"""What the routes of one gateway share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from ktclient.config.settings import Settings
from ktclient.gateway.access.rules import Rules
from ktclient.gateway.http_counts import HttpCounts
from ktclient.gateway.models import Models
from ktclient.gateway.routing.any_server import AnyServer
from ktclient.gateway.routing.targets import Targets
from ktclient.gateway.store_threads import StoreThreads
from ktclient.gateway.watch import Watch


@dataclass(frozen=True)
class Limits:
    """Bounds and times. Bytes, seconds."""

    body_bytes: int = 200_000_000
    """Of one request, as OpenAI's for a file of a batch."""
    quota_bytes: int = 10_000_000_000
    """Of all files of one key."""
    quick_seconds: float = 15.0
    """How long a plain answer is awaited before its headers are sent: a quick error keeps its
    status."""
    comment_seconds: float = 15.0
    """At most so long a connection is silent."""
    progress_seconds: float = 60.0
    """At most so long a stream is without an event that clients parse."""
    max_tokens: int | None = None
    """The limit of an answer where a request sets none; None: by the window of its server."""


@dataclass(frozen=True)
class Gateway:
    """The settings, the store and the watch of one process; `app.state.gateway`."""

    settings: Settings
    threads: StoreThreads
    watch: Watch
    limits: Limits = field(default_factory=Limits)
    rules: Rules = field(default_factory=Rules)
    accepting: dict[str, asyncio.Task[Any]] = field(default_factory=dict)
    """Requests that are being accepted, by caller and what they are recognised by
    (`gateway.accept`)."""
    models: Models = field(default_factory=Models)
    counts: HttpCounts = field(default_factory=HttpCounts)
    targets: Targets = field(default_factory=Targets)
    any_server: AnyServer = field(default_factory=AnyServer)


@dataclass(frozen=True)
class Caller:
    """Who sent a request. `owner` is the id of the API key; empty while there are no keys."""

    owner: str = ""
    is_admin: bool = True

    @property
    def sees(self) -> str | None:
        """The owner whose things this caller may see; None: everybody's."""
        return None if self.is_admin else self.owner
