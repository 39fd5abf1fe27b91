"""The options of `ktjob serve` that say who may use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ktclient.gateway.access.rules import Rules

_OPTIONS = (
    click.option(
        "--allow-host",
        "allow_host",
        multiple=True,
        metavar="NAME",
        help="Another name by which clients call it, such as a proxy's. Repeatable.",
    ),
    click.option(
        "--allow-origin",
        "allow_origin",
        multiple=True,
        metavar="URL",
        help="A web origin whose pages may use it (CORS). Repeatable.",
    ),
    click.option(
        "--behind-proxy",
        is_flag=True,
        help="Believe the proxy's X-Forwarded-For and X-Forwarded-Proto.",
    ),
)


def access_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add them to a command, which passes them to `rules`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def rules(given: dict[str, Any]) -> Rules:
    """What the options of a command said; they are taken out of `given`. Raises `BadInput`."""
    from ktclient.gateway.access import hosts
    from ktclient.gateway.access.rules import Rules

    return Rules(
        hosts=frozenset(map(hosts.host_name, given.pop("allow_host"))),
        origins=frozenset(map(hosts.origin_name, given.pop("allow_origin"))),
        is_behind_proxy=given.pop("behind_proxy"),
    )
