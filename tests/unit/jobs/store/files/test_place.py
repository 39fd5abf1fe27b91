"""What a database file is, compared with the place that the store recorded."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.store.files import place
from jobs.store.files.place import Place, Verdict

HOME, NEW = "/home/me/ktjob.db", "/mnt/ktjob.db"
RECORDED = Place(
    store="id",
    path=HOME,
    device=5,
    inode=77,
    filesystem=900,
    machine="laptop",
    host="laptop.local",
    boot="monday",
    mounts=1,
)
REBOOT = {"boot": "tuesday", "device": 6}
OTHER_MACHINE = {"machine": "gpu1", "host": "gpu1.local", "boot": "its own", "device": 5}
CONTAINER = {"machine": ""}


@pytest.mark.parametrize(
    ("what", "was", "change", "verdict"),
    [
        ("nothing has changed", {}, {}, Verdict.SAME),
        ("another device number at this boot", {}, REBOOT, Verdict.SAME),
        ("a backup put back", {}, {"inode": 78}, Verdict.RESTORED),
        ("a new disk with a restored home", {}, {**REBOOT, "filesystem": 901}, Verdict.RESTORED),
        ("another disk there, by rsync", {}, {"device": 6, "filesystem": 901}, Verdict.RESTORED),
        # Another machine; rsync to a fresh disk may give the same inode number.
        ("rsync to it", {}, {**OTHER_MACHINE, "filesystem": 901}, Verdict.COPY),
        ("rsync, other inode", {}, {**OTHER_MACHINE, "inode": 78}, Verdict.COPY),
        ("its disk cloned", {}, OTHER_MACHINE, Verdict.COPY),
        # Containers, which have no machine id
        ("a volume in a new container", CONTAINER, {"host": "c2"}, Verdict.SAME),
        ("the same after a reboot", CONTAINER, {**REBOOT, "host": "c2"}, Verdict.SAME),
        ("a copied volume", CONTAINER, {"host": "c2", "inode": 78}, Verdict.COPY),
        ("a backup put back in one", CONTAINER, {"inode": 78}, Verdict.RESTORED),
        ("another disk there, in a sandbox", {}, {"device": 6, "mounts": 2}, Verdict.COPY),
        ("in a namespace of its own", {}, {"mounts": 2}, Verdict.SAME),
        ("a container with its own id", {}, {"machine": "c", "host": "c"}, Verdict.SAME),
    ],
)
def test_in_its_place(
    what: str, was: dict[str, object], change: dict[str, object], verdict: Verdict
) -> None:
    """At the recorded path, or behind a link that was put there."""
    recorded = replace(RECORDED, **was)  # type: ignore[arg-type]
    found = replace(recorded, **change)  # type: ignore[arg-type]
    assert place.compare(recorded, found, HOME) is verdict, what
    assert place.compare(recorded, replace(found, path=NEW), NEW) is verdict, what


@pytest.mark.parametrize(
    ("what", "change", "now_at_recorded", "verdict"),
    [
        ("renamed", {}, None, Verdict.MOVED),
        ("renamed, another queue in its place", {}, HOME, Verdict.MOVED),
        ("renamed before a reboot", REBOOT, None, Verdict.MOVED),
        ("a disk plugged in again", {"device": 6}, None, Verdict.MOVED),
        ("a snapshot", {"device": 6}, HOME, Verdict.COPY),
        ("a snapshot after a reboot", REBOOT, HOME, Verdict.COPY),
        ("copied", {"inode": 78}, HOME, Verdict.COPY),
        ("copied, the original gone", {"inode": 78}, None, Verdict.COPY),
        ("copied to another disk", {"device": 6, "filesystem": 901}, None, Verdict.COPY),
        ("on another machine", OTHER_MACHINE, None, Verdict.COPY),
    ],
)
def test_in_another_place(
    what: str, change: dict[str, object], now_at_recorded: str | None, verdict: Verdict
) -> None:
    """At another path."""
    found = replace(RECORDED, path=NEW, **change)  # type: ignore[arg-type]
    assert place.compare(RECORDED, found, now_at_recorded) is verdict, what


FUSE = {"filesystem": 0, "device": 9}


@pytest.mark.parametrize(
    ("what", "was", "change", "now_at_recorded", "is_second"),
    [
        ("nothing has changed", {}, {}, HOME, False),
        ("a home on FUSE, mounted again", FUSE, {"device": 10}, HOME, False),
        ("a copy on a disk", {}, {"path": NEW, "inode": 78}, HOME, False),
        ("a view of a disk", {}, {**FUSE, "path": NEW}, HOME, True),
        ("a view at the same path", {}, {**FUSE, "mounts": 2}, HOME, True),
        ("below a view", FUSE, {"path": NEW, "filesystem": 900, "device": 5}, HOME, True),
        ("a view elsewhere", FUSE, {"path": NEW, "device": 10}, HOME, True),
    ],
)
def test_a_second_view_is_one_through_fuse_or_below_it(
    what: str,
    was: dict[str, object],
    change: dict[str, object],
    now_at_recorded: str | None,
    is_second: bool,
) -> None:
    """Where nothing was recorded, any FUSE filesystem may show one."""
    recorded = replace(RECORDED, **was)  # type: ignore[arg-type]
    found = replace(recorded, **change)  # type: ignore[arg-type]
    verdict = place.compare(recorded, found, now_at_recorded)
    assert place.is_second_view(recorded, found, verdict) is is_second, what
    assert place.is_second_view(None, found, Verdict.MOVED) is found.is_fuse


def test_what_an_earlier_version_recorded_is_compared_as_far_as_it_goes() -> None:
    """A copy of its store stays a copy, and the store at its place goes on."""
    old = place.read({"store": "id", "path": HOME, "device": 5, "inode": 77, "machine": "laptop"})
    assert old is not None
    assert place.compare(old, RECORDED, HOME) is Verdict.RESTORED
    assert place.compare(old, replace(RECORDED, path=NEW), HOME) is Verdict.COPY


def test_it_is_found_through_links_and_read_back(tmp_path: Path) -> None:
    """What is recorded has no link in its path. Records that this version does not know are no
    place; fields of later versions do no harm."""
    database = tmp_path / "real" / "ktjob.db"
    database.parent.mkdir()
    database.touch()
    (tmp_path / "link").symlink_to("real")
    found = place.here(tmp_path / "link" / "ktjob.db", "id")
    assert found.path == os.path.realpath(database) and found.inode == database.stat().st_ino
    assert place.leads_to(found) == found.path
    assert place.read({**found.record(), "later": 1}) == found
    for other in (None, [], {}, {"store": "id"}):
        assert place.read(other) is None
    database.unlink()
    assert place.leads_to(found) is None
