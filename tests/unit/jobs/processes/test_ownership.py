"""Files of the state directory that another user may have put there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs.errors import NotYours
from jobs.processes import ownership


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's link")
def test_no_file_is_opened_through_a_link_that_another_user_made(tmp_path: Path) -> None:
    """As it may have been made while the directory was open to others."""
    log, precious = tmp_path / "runner.log", tmp_path / "precious"
    precious.write_text("precious")
    log.symlink_to(precious)
    os.lchown(log, 4321, 4321)
    with pytest.raises(NotYours, match="is a symbolic link that another user made"):
        ownership.open_own(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    assert precious.read_text() == "precious"


def test_a_link_of_ones_own_is_followed(tmp_path: Path) -> None:
    """Some keep their logs on another disk."""
    log, elsewhere = tmp_path / "runner.log", tmp_path / "elsewhere"
    log.symlink_to(elsewhere)
    fd = ownership.open_own(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, b"x")
    os.close(fd)
    assert elsewhere.read_bytes() == b"x"
