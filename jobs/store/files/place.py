"""Where a store lives, and whether a database file is still that store or a copy of it.

A copy has the same queue and the same running jobs: what was started from it would send each
request a second time. So a store records its place, and a copy is only read until `ktjob adopt`.

An inode number alone proves little: `rsync` to a fresh disk of another machine may give the same
one. Within one boot the device number tells disks apart. At another boot it may change, and the
filesystem's own id is compared, which ext4 and btrfs derive from their UUID.
"""

from __future__ import annotations

import enum
import os
from dataclasses import asdict, replace
from pathlib import Path

from jobs.processes import identity
from jobs.quick_dataclass import record
from jobs.system import filesystem, machine

NO_ID = 1
"""As tmpfs had none before Linux 6.6."""


@record(frozen=True)
class Place:
    """Where a store was when it was last used."""

    store: str
    """A random id, the same in every copy that was not adopted."""
    path: str
    """Of the database file, without symbolic links."""
    device: int
    inode: int
    filesystem: int
    """`f_fsid` of statvfs(3); 0 with FUSE, `NO_ID` where another filesystem has none."""
    machine: str
    """The machine's id; empty where it has none."""
    host: str
    """The machine's or container's name."""
    boot: str
    """The id of the boot."""
    mounts: int
    """The mount namespace: in a sandbox, the same path may be another folder."""

    @property
    def is_fuse(self) -> bool:
        """Whether it is on a FUSE filesystem."""
        return self.filesystem == 0

    def record(self) -> dict[str, object]:
        """As a JSON object."""
        return asdict(self)


class Verdict(enum.Enum):
    """What a database file is, compared with the recorded place."""

    SAME = enum.auto()
    """The store where it was."""
    MOVED = enum.auto()
    """The same file under another path: there is no second one."""
    RESTORED = enum.auto()
    """Another file at the recorded path, as after a backup was put back or the disk replaced."""
    COPY = enum.auto()
    """Another file in another place or on another machine: the original may still exist."""


def here(database: Path, store: str = "") -> Place:
    """The place of an existing database file. Raises `OSError`."""
    found = database.stat()
    return Place(
        store=store,
        path=os.path.realpath(database),
        device=found.st_dev,
        inode=found.st_ino,
        filesystem=_filesystem(database),
        machine=machine.machine_id(),
        host=machine.host_name(),
        boot=identity.boot_id(),
        mounts=_mounts(),
    )


def _filesystem(database: Path) -> int:
    found = os.statvfs(database).f_fsid
    return found or (0 if filesystem.type_of(database).startswith("fuse") else NO_ID)


def _mounts() -> int:
    try:
        return os.stat("/proc/self/ns/mnt").st_ino
    except OSError:
        return 0


def read(value: object) -> Place | None:
    """A place from its JSON object; None where that holds none. What an earlier version did not
    record is unknown, and equal to nothing."""
    if not isinstance(value, dict) or not {"store", "path", "inode"} <= value.keys():
        return None
    unknown = {"device": -1, "filesystem": -1, "machine": "", "host": "", "boot": "", "mounts": 0}
    return Place(**{name: value.get(name, unknown.get(name)) for name in Place.__annotations__})


def leads_to(recorded: Place) -> str | None:
    """The file that is at the recorded path now, without symbolic links; None where there is
    none."""
    path = os.path.realpath(recorded.path)
    return path if os.path.exists(path) else None


def is_second_name(recorded: Place, database: Path) -> bool:
    """Whether a database file is also at the recorded path, as a hard link."""
    path = leads_to(recorded)
    if path is None or path == os.path.realpath(database) or database.stat().st_nlink < 2:
        return False
    is_same_folder = os.path.samefile(os.path.dirname(path), database.parent)  # a bind mount
    return os.path.samefile(path, database) and not is_same_folder


def compare(recorded: Place, found: Place, now_at_recorded: str | None) -> Verdict:
    """What the file at `found` is. `now_at_recorded` is what `leads_to` says of the recorded
    place."""
    if now_at_recorded == found.path:  # the recorded path, or a link that was put there
        return _in_its_place(recorded, found)
    if recorded.inode != found.inode or _is_cloned(recorded, found):
        return Verdict.COPY
    if recorded.boot == found.boot and recorded.device == found.device:
        return Verdict.MOVED
    # A disk that was taken out and put in again elsewhere: of a snapshot, which has the same
    # numbers, the original is still there.
    is_same_disk = recorded.filesystem == found.filesystem != 0
    return Verdict.MOVED if is_same_disk and now_at_recorded is None else Verdict.COPY


def _in_its_place(recorded: Place, found: Place) -> Verdict:
    is_same_disk = recorded.filesystem == found.filesystem
    if recorded.boot == found.boot:
        is_same_disk = recorded.device == found.device
    if recorded.inode == found.inode and is_same_disk:
        return Verdict.COPY if _is_cloned(recorded, found) else Verdict.SAME
    # A sandbox that lays a filesystem of its own over the folder sees another file there.
    is_elsewhere = recorded.boot == found.boot and 0 != recorded.mounts != found.mounts != 0
    is_restored = _is_same_machine(recorded, found) and not is_elsewhere
    return Verdict.RESTORED if is_restored else Verdict.COPY


def is_unchanged(recorded: Place | None, found: Place) -> bool:
    """Whether nothing has changed since, but the mount namespace: containers take turns."""
    if recorded is None:
        return False
    return recorded == replace(found, store=recorded.store, mounts=recorded.mounts)


def is_second_view(recorded: Place | None, found: Place, verdict: Verdict) -> bool:
    """Whether the file may be another one's second view, through FUSE or below it. Such views do
    not share locks, so one of them would take itself for the only one."""
    if recorded is None:
        return found.is_fuse
    if found.is_fuse:
        return verdict is Verdict.COPY or not recorded.is_fuse
    return verdict is Verdict.COPY and recorded.is_fuse


def _is_cloned(recorded: Place, found: Place) -> bool:
    """Whether the whole disk was: the same files on another machine. In the same boot it is only a
    container with a machine id of its own."""
    is_other = recorded.machine and found.machine and recorded.machine != found.machine
    return bool(is_other) and recorded.boot != found.boot


def _is_same_machine(recorded: Place, found: Place) -> bool:
    """Where a machine has no id, by its name: two containers mostly have different ones."""
    if recorded.machine and found.machine:
        return recorded.machine == found.machine
    return recorded.host == found.host
