"""Folders that are made private, with all above them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from jobs import private_folder


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077, 0o277, 0o777], ids=oct)
def test_all_that_is_made_is_private_and_what_exists_stays(umask: int, tmp_path: Path) -> None:
    """Three levels at once."""
    there = tmp_path / "there"
    there.mkdir()
    there.chmod(0o755)
    before = os.umask(umask)
    try:
        private_folder.make(there / "a" / "b" / "c")
        private_folder.make(there / "a" / "b" / "c")
    finally:
        os.umask(before)
    made = (there / "a", there / "a/b", there / "a/b/c")
    assert [stat.S_IMODE(one.stat().st_mode) for one in made] == [0o700] * 3
    assert stat.S_IMODE(there.stat().st_mode) == 0o755


def test_a_link_to_a_folder_is_one_and_what_is_in_the_way_is_told(tmp_path: Path) -> None:
    """A file, a dangling link, a missing parent where none may be made."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    private_folder.make(tmp_path / "link" / "inner")
    assert (tmp_path / "real" / "inner").is_dir()
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("file", "dangling"):
        with pytest.raises(FileExistsError):
            private_folder.make(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        private_folder.make_one(tmp_path / "missing" / "inner")
