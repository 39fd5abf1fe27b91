"""Files that a user names for output: replaced only where nothing is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs.model import Capacity, Job, NewJob
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.errors import BadInput
from ktclient.records import written_files
from ktclient.records.written_files import Output


def put(state: StateDir, title: str) -> Job:
    with Store.open(state) as store:
        new = NewJob("pool", '{"server": "pool"}', b"text", title)
        return store.submit(new, Capacity(slots=1))


def refused(state: StateDir, wanted: Output, content: bytes | None = None) -> str:
    """The reason, empty if the file may be replaced."""
    try:
        written_files.require_replaceable(state, wanted, content)
    except BadInput as error:
        return str(error)
    return ""


def test_only_what_can_be_made_again_is_replaced(state: StateDir, tmp_path: Path) -> None:
    """As ktjob wrote it, of the same jobs or of jobs that are stored; by any path to it."""
    job, path = put(state, "a.txt"), tmp_path / "answer.md"
    wanted = Output(str(path), (job.id,))
    assert refused(state, wanted) == ""
    path.write_text("written by hand\n")
    assert "exists" in refused(state, wanted) and "--force" in refused(state, wanted)
    assert refused(state, wanted, b"written by hand\n") == "", "the same is no loss"
    assert refused(state, Output(wanted.name, (), force=True)) == ""
    written_files.note(state, wanted)
    assert refused(state, wanted) == ""
    assert refused(state, Output(wanted.name, ("other",))) == "", "its job is stored"
    link = tmp_path / "link"
    link.symlink_to(path)
    assert refused(state, Output(str(link), (job.id,))) == ""
    path.write_text("edited  by hand\n")  # as long as before
    assert "exists" in refused(state, wanted)
    written_files.note(state, Output(wanted.name, ("gone",)))
    assert "exists" in refused(state, wanted), "an archive whose job was removed"
    assert refused(state, Output(wanted.name, ("gone",))) == ""
    path.write_text("")
    assert refused(state, wanted) == ""


def test_a_write_protected_file_stays(state: StateDir, tmp_path: Path) -> None:
    """Also for root, for whom the mode is no hindrance, and where ktjob wrote it."""
    path = tmp_path / "answer.md"
    path.write_text("text")
    wanted = Output(str(path), ())
    written_files.note(state, wanted)
    path.chmod(0o444)
    assert "write-protected" in refused(state, wanted)
    assert refused(state, Output(str(path), (), force=True)) == ""


def test_the_document_of_a_job_is_never_replaced(state: StateDir, tmp_path: Path) -> None:
    """By its name, if it is older than the job: also where ktjob wrote it for another one."""
    path = tmp_path / "notes.md"
    path.write_text("text")
    os.utime(path, (1, 1))
    job = put(state, "folder/notes.md")
    with pytest.raises(BadInput, match=f"is the document of job {job.id}"):
        written_files.require_no_source(str(path), [job])
    written_files.require_no_source(str(path), [put(state, "other.md")])
    written_files.require_no_source(str(tmp_path / "absent.md"), [job])
    os.utime(path, (4e9, 4e9))
    written_files.require_no_source(str(path), [job])


def test_notes_are_few_and_the_newest(
    state: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that writes a new file each night leaves no endless folder."""
    monkeypatch.setattr(written_files, "MOST_NOTES", 2)
    for number in range(3):
        path = tmp_path / f"{number}.md"
        path.write_text("text")
        written_files.note(state, Output(str(path), ()))
        note = max(state.written_files.iterdir(), key=lambda file: file.stat().st_mtime_ns)
        os.utime(note, (number, number))
    assert len(list(state.written_files.iterdir())) == 2
    assert refused(state, Output(str(tmp_path / "2.md"), ())) == ""


@pytest.mark.parametrize("damage", [b"", b"\xff", b"4 other"])
def test_a_damaged_note_is_none(state: StateDir, tmp_path: Path, damage: bytes) -> None:
    """Then it takes --force."""
    path = tmp_path / "a.md"
    path.write_text("text")
    written_files.note(state, Output(str(path), ()))
    (note,) = state.written_files.iterdir()
    note.write_bytes(damage)
    assert "exists" in refused(state, Output(str(path), ()))
