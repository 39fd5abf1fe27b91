"""Writing an export: to a file, whole or not at all, or to an open descriptor."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from jobs import draft, named_file
from jobs.model import Job, Status
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.system import no_room
from ktclient import wording
from ktclient.errors import BadInput, NotFinished
from ktclient.exports import lines, markdown, page, record, table
from ktclient.exports.record import Contents, Exported
from ktclient.records import snapshot, written_files
from ktclient.records.written_files import Output

FORMATS = ("md", "html", "json", "jsonl", "csv")
_BY_ENDING = {".md": "md", ".markdown": "md", ".html": "html", ".htm": "html"} | {
    f".{name}": name for name in ("json", "jsonl", "csv")
}


def format_of(path: str | None, given: str | None) -> str:
    """The format that was named, else that of the file's ending; Markdown for standard output.
    Raises `BadInput`."""
    if given is not None:
        if given not in FORMATS:
            raise BadInput(f"unknown format {wording.quote(given)}; use {', '.join(FORMATS)}")
        return given
    if path is None or named_file.descriptor(path) is not None:
        return "md"
    if (found := _BY_ENDING.get(Path(path).suffix.lower())) is None:
        raise BadInput(
            f"cannot see the format by the name {path}: end it with .md, .html, .json, .jsonl or "
            ".csv, or add --format"
        )
    return found


def require_ended(jobs: Sequence[Job]) -> None:
    """Raises `NotFinished` where a job has not ended."""
    for job in jobs:
        if job.status is not Status.FINISHED:
            raise NotFinished(
                f"job {job.id} has not ended, so it cannot be exported; wait for it with: "
                f"ktjob wait {job.id}"
            )


def pieces(store: Store, jobs: Sequence[Job], form: str, contents: Contents) -> Iterator[str]:
    """The text of an export, one job at a time in memory. Raises as `record.records`."""
    listed = contents_list(store, jobs) if form == "html" else []
    return pieces_of(record.records(store, jobs, contents), len(jobs), form, contents, listed)


def pieces_of(
    found: Iterable[Exported],
    count: int,
    form: str,
    contents: Contents,
    listed: Sequence[tuple[str, str]],
) -> Iterator[str]:
    """The same of `count` records, which are taken one by one. `listed`: for HTML, the id and the
    heading of each (`contents_list`)."""
    if form == "md":
        return markdown.pieces(found)
    if form == "html":
        return page.pieces(found, listed)
    if form == "csv":
        return table.pieces(found, documents=contents.documents, thoughts=contents.thoughts)
    return {"json": lines.json_object, "jsonl": lines.json_lines}[form](found, count)


def contents_list(store: Store, jobs: Sequence[Job]) -> list[tuple[str, str]]:
    """The id and the heading of each job."""
    found = []
    for one in snapshot.of_jobs(store, jobs):
        words = " ".join(f"{one.title}: {'; '.join(one.questions) or one.task}".split())
        found.append((one.id, words))
    return found


def write(state: StateDir, wanted: Output, text: Iterable[str]) -> None:
    """Write all of a text to a file, piece by piece, or leave what is there. What
    `written_files.require_replaceable` refuses is replaced only with its `force`. Raises
    `BadInput`, and what the pieces raise."""
    path = wanted.name
    if (number := named_file.descriptor(path)) is not None:
        with _explained(path), os.fdopen(os.dup(number), "wb") as file:
            file.writelines(piece.encode() for piece in text)
        return
    written_files.require_replaceable(state, wanted)
    with _explained(path):
        target = named_file.followed(Path(path))
        if (what := named_file.irregular(target)) is not None:
            raise BadInput(f"cannot write {path}: it is {what}, not a regular file")
        replaces = wanted.force or target.exists()
        with draft.removed_by_signals():
            one = draft.Draft(target, None)
            try:
                one.file.writelines(piece.encode() for piece in text)
                one.publish(keeps=True, replaces=replaces)
            finally:
                one.drop()
    written_files.note(state, wanted)


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    """Say of an `OSError` which file cannot be written, and why."""
    try:
        yield
    except BrokenPipeError:  # whoever read it has what it wanted
        raise
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        reason = no_room.reason(error, Path(path)) or error.strerror or error
        raise BadInput(f"cannot write {path}: {reason}") from None


def _exists(path: str) -> BadInput:
    return BadInput(f"{path} exists and was left as it is. Name another file, or add --force")
