"""The files of a batch: the user's own, so their modes and links stay."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ktclient.batch.result_files import ResultFiles, place
from ktclient.errors import BadInput

LINES = ('{"error": null}', '{"error": {}}')


def written(results: Path, errors: Path | None) -> None:
    files = ResultFiles(str(results), errors and str(errors), 0o644, "abcd1234")
    try:
        for number, line in enumerate(LINES):
            files.write(line, is_error=bool(number))
        files.publish()
    finally:
        files.drop()


def test_files_keep_their_modes_and_links_and_a_killed_attempt_leaves_nothing(
    tmp_path: Path,
) -> None:
    """A new file gets the mode of the submit's umask."""
    real, results, errors = tmp_path / "real", tmp_path / "r.jsonl", tmp_path / "e.jsonl"
    real.write_text("old")
    real.chmod(0o640)
    results.symlink_to("real")
    for left in (".ktjob-abcd1234.0.00", ".ktjob-abcd1234.1.00", ".ktjob-other.0.00"):
        (tmp_path / left).touch()
    written(results, errors)
    assert results.is_symlink() and real.read_text() == LINES[0] + "\n"
    assert errors.read_text() == LINES[1] + "\n"
    modes = [stat.S_IMODE(one.stat().st_mode) for one in (real, errors)]
    assert modes == [0o640, 0o644]
    names = {"real", "r.jsonl", "e.jsonl", ".ktjob-other.0.00"}
    assert {one.name for one in tmp_path.iterdir()} == names


def test_a_pipe_in_the_place_of_the_file_is_an_error_of_that_file(tmp_path: Path) -> None:
    """It may have been made while the batch ran."""
    results = tmp_path / "r.jsonl"
    os.mkfifo(results)
    with pytest.raises(OSError, match="a named pipe") as told:
        written(results, None)
    assert told.value.filename == str(results)
    assert list(tmp_path.iterdir()) == [results] and stat.S_ISFIFO(results.stat().st_mode)


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/2"])
def test_open_files_are_refused_at_submit(name: str) -> None:
    """The results are written later, by another process."""
    with pytest.raises(BadInput, match=f"must go to a file, not to {name}"):
        place(name, "results")
