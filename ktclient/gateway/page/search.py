"""Jobs with certain words, as `ktjob list --search` finds them: in names, labels, questions,
answers and errors, on demand in documents. A key finds its own jobs only."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from jobs.store.http.store import HttpStore
from jobs.store.job_queries import Filter
from jobs.store.state_dir import StateDir
from ktclient.gateway.context import Caller, Gateway
from ktclient.records import search
from ktclient.records.search import Documents, Words

MOST_FOUND = 100
"""Jobs that are shown of those that match."""
MOST_BYTES = 500_000_000
"""How much of documents one search on the page reads, in bytes: up to eight seconds."""
_one_at_a_time = asyncio.Semaphore(1)
"""So that searches of a few impatient people leave threads for requests."""

Record = dict[str, object]


@dataclass(frozen=True)
class Wanted:
    """What to look for, and whether in documents too."""

    text: str
    is_in_documents: bool = False


async def run(gateway: Gateway, caller: Caller, wanted: Wanted) -> Record:
    """The jobs that match, newest first, with `found`: where the words are. Raises `BadInput`
    where there is no word."""
    words = Words(wanted.text)
    async with _one_at_a_time:
        return await gateway.threads.check(_found, gateway.settings.state, caller, words, wanted)


def _found(state: StateDir, caller: Caller, words: Words, wanted: Wanted) -> Record:
    if not state.is_stored():
        return {"jobs": [], "total": 0, "unread": 0}
    with HttpStore.open_existing(state) as store:
        documents = None
        if wanted.is_in_documents:
            documents = Documents(store, words, lambda count, size: None, MOST_BYTES)
        deleted = store.deleted_over_http()
        own = None if caller.sees is None else store.seen_ids(caller.sees)
        found = search.listing(
            store,
            Filter(),
            words,
            MOST_FOUND,
            documents,
            lambda job: job.id not in deleted and (own is None or job.id in own),
        )
    records = [
        {**one.to_dict(), "found": {"where": hit.where, "text": hit.text}}
        for one, hit in zip(found.jobs, found.found, strict=True)
    ]
    unread = 0 if documents is None else documents.unread
    return {"jobs": records, "total": found.total, "unread": unread}
