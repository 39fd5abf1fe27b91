"""What a database file is, compared with the place that the store recorded."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.store.files import place
from jobs.store.files.place import Place, Verdict

HOME = Place("id", "/home/me/ktjob.db", 5, 77, "laptop")


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, Verdict.SAME),
        ({"device": 6}, Verdict.SAME),  # another number at this boot
        ({"machine": "container"}, Verdict.SAME),  # a new id at every start
        ({"inode": 78}, Verdict.RESTORED),
        ({"inode": 78, "device": 6}, Verdict.RESTORED),  # a new disk
        ({"inode": 78, "machine": ""}, Verdict.RESTORED),  # unknown is not another
        ({"inode": 78, "machine": "gpu1"}, Verdict.COPY),
        ({"path": "/mnt/ktjob.db"}, Verdict.MOVED),
        ({"path": "/mnt/ktjob.db", "device": 6}, Verdict.COPY),  # a snapshot
        ({"path": "/mnt/ktjob.db", "inode": 78}, Verdict.COPY),
        ({"path": "/mnt/ktjob.db", "inode": 78, "machine": "gpu1"}, Verdict.COPY),
    ],
)
def test_each_difference_has_its_verdict(change: dict[str, object], verdict: Verdict) -> None:
    """A path, a file, a disk, a machine."""
    assert place.compare(HOME, replace(HOME, **change)) is verdict  # type: ignore[arg-type]


def test_it_is_found_through_links_and_read_back(tmp_path: Path) -> None:
    """What is recorded has no link in its path. Records that this version does not know are no
    place; fields of later versions do no harm."""
    database = tmp_path / "real" / "ktjob.db"
    database.parent.mkdir()
    database.touch()
    (tmp_path / "link").symlink_to("real")
    found = place.here(tmp_path / "link" / "ktjob.db", "laptop", "id")
    assert found.path == os.path.realpath(database) and found.inode == database.stat().st_ino
    assert place.read({**found.record(), "later": 1}) == found
    for other in (None, [], {}, {"store": "id"}):
        assert place.read(other) is None
