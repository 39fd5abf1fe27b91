"""Modules that the first requests would import: loaded by a thread once the gateway answers.

So the first request does not wait for them, and an upgrade of ktjob under a running gateway does
not mix the code in memory with new code from disk.
"""

from __future__ import annotations

import logging

from jobs import clock

_JOBS = clock.__name__.rpartition(".")[0]
"""The package's name: another one in a wheel."""
NAMES = (
    "anyio.lowlevel",
    "anyio.streams.memory",
    f"{_JOBS}.processes.doorbell",
    f"{_JOBS}.runner.start",
    f"{_JOBS}.system.logout",
    "ktclient.servers.question_limit",
    "ktclient.servers.starting",
    "ktclient.tokens.vocabulary",
    "ktclient.servers.survey",
)
"""In this order; a test holds the list to what a chat needs."""
_LOG = logging.getLogger("ktjob")


def load() -> None:
    """Import them. One that cannot be imported is logged: its first use says what to do."""
    for name in NAMES:
        try:
            __import__(name)  # as a statement: a start with -X importtime shows it
        except ImportError as error:
            _LOG.warning("%s cannot be loaded now: %s", name, error)
