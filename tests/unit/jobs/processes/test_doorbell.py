"""The pipe that wakes the runner, and what may lie in its place."""

from __future__ import annotations

import os
import select
from pathlib import Path

import pytest

from jobs.processes import doorbell


def test_a_ring_is_heard_once_it_is_listened_to(tmp_path: Path) -> None:
    bell = tmp_path / "doorbell"
    doorbell.ring(bell)
    fd = doorbell.listen(bell)
    try:
        doorbell.ring(bell)
        assert select.select([fd], [], [], 0)[0] == [fd]
        doorbell.quiet(fd)
        assert select.select([fd], [], [], 0)[0] == []
    finally:
        os.close(fd)


@pytest.mark.parametrize("make", ["symlink_to", "hardlink_to"])
def test_no_other_file_is_written_through_a_link_in_its_place(tmp_path: Path, make: str) -> None:
    """As another user may have made one while the folder was open to others."""
    bell, precious = tmp_path / "doorbell", tmp_path / "precious"
    precious.write_text("precious")
    getattr(bell, make)(precious)
    doorbell.ring(bell)
    assert precious.read_text() == "precious"
    os.close(doorbell.listen(bell))
    assert precious.read_text() == "precious"
    assert bell.is_fifo() and not bell.is_symlink()


def test_a_link_to_a_pipe_is_replaced(tmp_path: Path) -> None:
    """Its other end may be another user's."""
    bell, other = tmp_path / "doorbell", tmp_path / "other"
    os.mkfifo(other)
    bell.symlink_to(other)
    os.close(doorbell.listen(bell))
    assert bell.is_fifo() and not bell.is_symlink()
