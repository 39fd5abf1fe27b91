"""Write the record of a folder of weights (`server_bundle.doctor.facts.fetched` reads it)."""

from __future__ import annotations

import json
import threading
from dataclasses import astuple
from pathlib import Path

from jobs import clock, draft
from server_bundle.doctor.facts import fetched
from server_bundle.doctor.facts.fetched import Listed, Record
from server_bundle.weights.hubs.hub import Listing
from server_bundle.weights.selection import Selection

_writing = threading.Lock()


def of_listing(
    listing: Listing, selection: Selection, include: list[str], exclude: list[str]
) -> Record:
    """A new record, in which nothing is checked yet."""
    wanted = {one.path for one in selection.wanted}
    return Record(
        listing.source.hub,
        listing.source.repo,
        listing.source.revision,
        listing.commit,
        clock.now(),
        include=include,
        exclude=exclude,
        files={
            one.path: Listed(one.size, one.sha256, one.git_sha1, one.path in wanted)
            for one in listing.files
        },
    )


def write(folder: Path, record: Record) -> None:
    """Raises `OSError`. Several threads may call it."""
    with _writing:
        record.checked_at = "" if record.unchecked else record.checked_at or clock.now()
        data = {
            **{name: value for name, value in vars(record).items() if name != "files"},
            "files": {path: _file(one) for path, one in record.files.items()},
        }
        path = fetched.path_of(folder)
        draft.write(path, json.dumps(data, indent=1), mode=mode_in(folder), prefix=".fetch.")


def _file(one: Listed) -> dict[str, object]:
    return {**vars(one), "checked": None if one.checked is None else astuple(one.checked)}


def mode_in(folder: Path) -> int:
    """The mode of new files: who may read the folder may read them, whatever the umask of the
    process is, which differs between a command and a detached one."""
    return folder.stat().st_mode & 0o666 | draft.PRIVATE
