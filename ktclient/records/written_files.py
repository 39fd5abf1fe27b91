"""Files that a user names for output, and what is there already.

curl, pandoc and `>` replace a file without a word, wget and curl's --no-clobber write beside it,
and cp -n and git leave it. An answer took an hour, and what is replaced by a slip may have taken
longer: so a file is replaced only if that loses nothing. It is as ktjob wrote it, and of the same
jobs, or of jobs that are still stored. So a script may run again, and an archive stays whose jobs
were removed. That is known by a note in the state directory: size, SHA-256 and jobs, by path.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from jobs import clock, draft, named_file, parsing, private_folder
from jobs.errors import KtjobError
from jobs.model import Job
from jobs.quick_dataclass import record
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.errors import BadInput

MOST_NOTES = 1_000
"""The notes of the files that were written last; for an older file, --force is needed again."""
_WRITERS = 0o222
_READ_BYTES = 1 << 20
_NOTE_BYTES = 10_000_000


@record(frozen=True)
class Output:
    """A file that a user named, and what is to be in it."""

    name: str
    of: tuple[str, ...]
    """The ids of its jobs; on another machine, the words that mean them."""
    force: bool = False
    """Replace whatever is there."""


def require_replaceable(state: StateDir, wanted: Output, content: bytes | None = None) -> None:
    """Raises `BadInput` for a file that would be lost: one that ktjob did not write or that was
    changed since, one of jobs that are gone, and one that is write-protected. Not with `force`,
    for an empty file, and for one with this `content`. What is no regular file is refused by the
    writer."""
    path, name = Path(wanted.name), wanted.name
    with contextlib.suppress(OSError):  # nothing is there, or the writer will see the same
        if wanted.force or named_file.descriptor(name) is not None or named_file.irregular(path):
            return
        found = path.stat()
        if not found.st_mode & _WRITERS:
            raise BadInput(
                f"{name} is write-protected and was left as it is. Name another file, or add "
                "--force"
            )
        if not found.st_size or _holds(path, content) or _can_be_made_again(state, path, wanted.of):
            return
        raise BadInput(
            f"{name} exists, and what is in it would be lost, so it was left as it is. Name "
            "another file, or add --force"
        )


def require_no_source(name: str, jobs: Sequence[Job]) -> None:
    """Raises `BadInput` for the document of one of these jobs, by its name and its age: that is
    never replaced."""
    with contextlib.suppress(OSError):
        found = Path(name).stat()
        for job in jobs:
            is_older = found.st_mtime <= clock.moment(job.created_at).timestamp()
            if is_older and Path(job.title).name == Path(name).name and found.st_size:
                raise BadInput(
                    f"{name} is the document of job {job.id}, and was left as it is. Name another "
                    "file"
                )


def note(state: StateDir, written: Output) -> None:
    """Remember that ktjob wrote this file, as it is now. Where that cannot be noted, replacing it
    needs --force."""
    if named_file.descriptor(written.name) is not None:
        return
    with contextlib.suppress(OSError, KtjobError):
        path = Path(written.name)
        file = _note(state, path)
        state.make_root()
        private_folder.make(file.parent)
        draft.write(file, "\n".join([_digest(path), *written.of]), is_synced=False)
        _drop_oldest(file.parent)


def _holds(path: Path, content: bytes | None) -> bool:
    return (
        content is not None and path.stat().st_size == len(content) and path.read_bytes() == content
    )


def _can_be_made_again(state: StateDir, path: Path, of: Sequence[str]) -> bool:
    """Whether the file is as ktjob wrote it, and its jobs are these, or are stored."""
    try:
        noted, *jobs = parsing.read_text(_note(state, path), _NOTE_BYTES).split("\n")
    except (OSError, ValueError):
        return False
    if noted.partition(" ")[0] != str(path.stat().st_size) or noted != _digest(path):
        return False
    return jobs == list(of) or _are_stored(state, jobs)


def _are_stored(state: StateDir, jobs: Sequence[str]) -> bool:
    store = Store.open_if_any(state)
    if store is None:
        return False
    with store:
        return all(store.exists(job_id) for job_id in jobs)


def _digest(path: Path) -> str:
    """Size and SHA-256 of a file's content."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            digest.update(piece)
            size += len(piece)
    return f"{size} {digest.hexdigest()}"


def _note(state: StateDir, path: Path) -> Path:
    name = os.fsencode(named_file.followed(path))
    return state.written_files / hashlib.sha256(name).hexdigest()


def _drop_oldest(folder: Path) -> None:
    notes = list(folder.iterdir())
    if len(notes) > MOST_NOTES:
        notes.sort(key=lambda file: file.stat().st_mtime)
        for old in notes[: len(notes) - MOST_NOTES]:
            old.unlink(missing_ok=True)
