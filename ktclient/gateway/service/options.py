"""How a gateway is to serve, and where it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ktclient.gateway.access.rules import Rules


@dataclass(frozen=True)
class Wanted:
    """How to serve."""

    host: str
    port: int
    """0: any free one."""
    limits: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `gateway.context.Limits` that are not to be as usual."""
    rules: Rules = field(default_factory=Rules)
    is_quiet: bool = False
    """No line per request."""


@dataclass(frozen=True)
class Place:
    """Where a gateway accepts connections."""

    url: str
    """Its root, as a client on this machine reaches it."""
    port: int
    remark: str | None
    """Who may use it; None where a key is needed."""
