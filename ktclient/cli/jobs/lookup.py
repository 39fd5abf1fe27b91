"""From a prefix of an id to the job."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ktclient.cli import command_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.model import Job
    from jobs.store.store import Store


@contextmanager
def open_job(prefix: str) -> Iterator[tuple[Store, Job]]:
    """The job store, and the job whose id starts with `prefix`. Raises `NoSuchJob`,
    `AmbiguousId`."""
    from ktclient.records import access

    with access.open_recovered(command_settings.state(), prefix) as store:
        yield store, store.find(prefix)
