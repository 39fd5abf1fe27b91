"""Which shortage an error is about, by the file system's numbers and this process's limits."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.system import no_room

Disk = Callable[..., None]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Every file system has so many blocks and inodes left, of so many inodes."""

    def set_to(blocks: int, inodes: int, of: int = 1000) -> None:
        numbers = (4096, 4096, 1000, blocks, blocks, of, inodes, inodes, 0, 255)
        monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(numbers))

    return set_to


@pytest.fixture
def limit() -> Iterator[Callable[[int], None]]:
    """Sets the limit on file sizes for this process, and takes it back."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("number", "left", "kind"),
    [
        (errno.ENOSPC, (0, 10, 1000), "full"),
        (errno.ENOSPC, (10, 0, 1000), "inodes"),
        (errno.ENOSPC, (0, 0, 1000), "full"),
        (errno.ENOSPC, (10, 0, 0), "full"),  # btrfs
        (errno.EDQUOT, (10, 10, 1000), "quota"),
        (errno.EFBIG, (10, 10, 1000), "size"),
        (errno.EACCES, (0, 0, 1000), None),
    ],
)
def test_the_kernels_error_and_the_disk_tell_which(
    disk: Disk, tmp_path: Path, number: int, left: tuple[int, int, int], kind: str | None
) -> None:
    """`left`: blocks and inodes that are free, and all inodes."""
    disk(*left)
    assert no_room.of_error(OSError(number, "x"), tmp_path / "not" / "there") == kind


def test_an_unknown_failure_is_looked_into(
    disk: Disk, limit: Callable[[int], None], tmp_path: Path
) -> None:
    """The numbers first, then a trial, then the limit; without any of them nothing is claimed."""
    file = tmp_path / "file"
    disk(10, 10)
    assert no_room.likely(file, 4096) is None
    assert no_room.likely(file, 41 * 4096) == "full"
    disk(10, 0)
    assert no_room.likely(file, 4096) == "inodes"
    disk(10, 10)
    limit(4096)
    assert no_room.likely(file, 4096) == "size", "by the trial"
    limit(no_room.TRIAL_BYTES)
    assert no_room.likely(file, 4096) == "size", "by the limit"
    assert list(tmp_path.iterdir()) == []


def test_each_kind_has_its_words(limit: Callable[[int], None], tmp_path: Path) -> None:
    """With the limit in bytes, and the process for which it can be raised."""
    limit(12_345)
    found = {kind: ". ".join(no_room.words(kind)) for kind in no_room.KINDS}
    assert len(set(found.values())) == len(no_room.KINDS)
    assert "12,345 bytes" in found["size"] and f"--pid {os.getpid()}" in found["size"]
    assert "df -i" in found["inodes"] and "quota -s" in found["quota"]
    assert no_room.reason(OSError(errno.EDQUOT, "x"), tmp_path) == found["quota"]
    assert no_room.reason(OSError(errno.EIO, "x"), tmp_path) is None
