"""Which format, and a file that is whole or was not written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ended_jobs import ended, put

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.errors import BadInput, NotFinished
from ktclient.exports import file
from ktclient.exports.record import Contents
from ktclient.records.written_files import Output


@pytest.mark.parametrize(
    ("path", "given", "found"),
    [
        (None, None, "md"),
        ("-", None, "md"),
        ("-", "csv", "csv"),
        ("a.HTM", None, "html"),
        ("a.b.jsonl", None, "jsonl"),
        ("a.txt", "json", "json"),
        ("a.json", "md", "md"),
    ],
)
def test_the_format_is_named_or_that_of_the_ending(
    path: str | None, given: str | None, found: str
) -> None:
    """What was named counts more."""
    assert file.format_of(path, given) == found


def test_an_ending_that_says_nothing_is_refused() -> None:
    """With what to do."""
    for path, given in (("answers.txt", None), ("answers", None), ("a.md", "pdf")):
        with pytest.raises(BadInput, match="html"):
            file.format_of(path, given)


def test_a_file_is_replaced_only_by_force_and_keeps_its_mode(
    tmp_path: Path, state: StateDir
) -> None:
    """Also one that came while the new one was written."""
    path = tmp_path / "a.md"
    path.write_text("old")
    path.chmod(0o640)
    with pytest.raises(BadInput, match="--force"):
        file.write(state, Output(str(path), ()), ["new"])
    file.write(state, Output(str(path), (), force=True), ["new", " words"])
    assert path.read_text() == "new words" and path.stat().st_mode & 0o777 == 0o640
    late = tmp_path / "late.md"

    def pieces() -> Iterator[str]:
        yield "mine"
        late.write_text("theirs")

    with pytest.raises(BadInput, match=r"late\.md exists"):
        file.write(state, Output(str(late), ()), pieces())
    assert late.read_text() == "theirs"
    assert set(os.listdir(tmp_path)) - {state.root.name} == {"a.md", "late.md"}


def test_an_error_in_the_middle_leaves_nothing(tmp_path: Path, state: StateDir) -> None:
    """Neither a part nor a draft; a folder that is missing is named."""

    def pieces() -> Iterator[str]:
        yield "half"
        raise BadInput("no more")

    with pytest.raises(BadInput, match="no more"):
        file.write(state, Output(str(tmp_path / "a.md"), ()), pieces())
    assert set(os.listdir(tmp_path)) <= {state.root.name}
    with pytest.raises(BadInput, match="cannot write"):
        file.write(state, Output(str(tmp_path / "none" / "a.md"), ()), ["text"])


def test_jobs_that_have_not_ended_are_not_exported(state: StateDir) -> None:
    """And one that has is, a job at a time."""
    (done,) = ended(state, "Who?")
    with Store.open(state) as store:
        (waiting,) = put(store, "When?")
        with pytest.raises(NotFinished, match=waiting.id):
            file.require_ended([done, waiting])
        found = file.pieces(store, [done], "md", Contents(documents=True))
        assert next(found) == "" and "Who?" in next(found)
        assert "A story." in "".join(found)
