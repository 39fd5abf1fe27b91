"""Files that a caller sees: those that were uploaded, and the results of batches. All functions are
for a thread: results may have to be written first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway import visibility
from ktclient.gateway.batches import results
from ktclient.gateway.batches.results import Result
from ktclient.gateway.context import Caller
from ktclient.gateway.files import list_query, storage
from ktclient.gateway.files.file_object import OUTPUT, Shown
from ktclient.gateway.files.list_query import ListQuery
from ktclient.gateway.wire.errors import ApiError

_MOST_ROWS = 1_000_000


@dataclass(frozen=True)
class Found:
    """A file, and where its bytes are."""

    shown: Shown
    path: Path


def find(state: StateDir, caller: Caller, file_id: str) -> Found:
    """The file with this id. Raises `ApiError`."""
    with HttpStore.open(state) as store:
        if results.is_id(file_id):
            result = results.find(store, caller, file_id)
            path = results.written(store, state, result)
            return Found(result.shown(path.stat().st_size), path)
        file = storage.find(store, caller, file_id)
    path = storage.path_of(state, file)
    if not path.is_file():
        words = f"the bytes of {file.id} are missing in {path.parent}. Upload the file again"
        raise ApiError(500, words, "server_error", "file_missing")
    return Found(Shown.of(file), path)


def delete(state: StateDir, caller: Caller, file_id: str) -> None:
    """Delete a file. A batch that was made of it goes on. Raises `ApiError`."""
    with HttpStore.open(state) as store:
        if results.is_id(file_id):
            results.delete(store, state, results.find(store, caller, file_id))
        else:
            storage.delete(store, state, storage.find(store, caller, file_id))


def page(
    state: StateDir, caller: Caller, query: ListQuery, purpose: str | None
) -> dict[str, object]:
    """A page of the list, by age. Raises `ApiError` for an unknown `after`."""
    with HttpStore.open(state) as store:
        files = [] if purpose == OUTPUT else store.files_of(caller.sees, _MOST_ROWS, None, purpose)
        made = results.listed(store, caller) if purpose in (None, OUTPUT) else []
        every: list[Shown | Result] = [*map(Shown.of, files), *made]
        every.sort(key=lambda one: one.created_at)
        if query.is_descending:
            every.reverse()
        ids = [one.id for one in every]
        if query.after is not None and query.after not in ids:
            raise visibility.not_found(query.after)
        start = 0 if query.after is None else ids.index(query.after) + 1
        some = every[start : start + query.limit]
        shown = [
            one if isinstance(one, Shown) else results.about(store, state, one) for one in some
        ]
    found = [one.to_json() for one in shown]
    return list_query.envelope(found, has_more=len(every) > start + query.limit)
