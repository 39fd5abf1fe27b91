"""From a word to the one job that it means."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ktclient.cli import command_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.model import Job
    from jobs.store.store import Store


@contextmanager
def open_job(word: str) -> Iterator[tuple[Store, Job]]:
    """The job store, and the job that `word` means: an id, a unique prefix, `@last`. Raises
    `NoSuchJob`, `AmbiguousId` and `BadInput`."""
    from ktclient.records import access, selector

    with access.open_recovered(command_settings.state(), word) as store:
        yield store, selector.one(store, word)
