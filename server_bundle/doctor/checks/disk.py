"""The disk that the weights are read from, and the one that compiled kernels are written to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from server_bundle.doctor.case import Case
from server_bundle.doctor.facts.machine import Machine
from server_bundle.doctor.finding import Finding, error, note, ok, warning

_ABOUT = "disk"
_GIB = 1 << 30
_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|9p|afs|ceph|fuse\.(?:sshfs|ceph|glusterfs|s3fs|rclone|juicefs|goofys)"
    r"|glusterfs|lustre|beegfs|gpfs|fuse\.s3|virtiofs"
)
_IN_MEMORY = ("tmpfs", "ramfs")
_KERNELS_LEAST = 1 * _GIB
_KERNELS_GOOD = 5 * _GIB
"""Enough for the kernel caches of flashinfer, triton and torch for a few models."""


@dataclass(frozen=True)
class Mount:
    """A mount point, its filesystem type and its source, by /proc/self/mountinfo."""

    place: Path
    kind: str
    source: str


def mount_of(machine: Machine, path: Path) -> Mount | None:
    """The mount that holds a path."""
    found: Mount | None = None
    for line in machine.read("proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, described = before.split(), after.split()
        if len(fields) < 5 or len(described) < 2:
            continue
        place = Path(fields[4].replace("\\040", " "))
        if path.is_relative_to(place) and (
            found is None or len(place.parts) >= len(found.place.parts)
        ):
            found = Mount(place, described[0], described[1])
    return found


def check(case: Case) -> Iterator[Finding]:
    """Check the disk of the weights, which loading reads once, and the space for kernels."""
    if case.checkpoint.is_there:
        yield from _weights(case)
    home = case.machine.home()
    space = case.machine.space(home)
    if space is not None and space.free < _KERNELS_GOOD:
        seen = f"{space.free / _GIB:,.1f} GiB free for {home}/.cache"
        why = "flashinfer, triton and torch store their compiled kernels there"
        cure = "free some space, or set XDG_CACHE_HOME and FLASHINFER_WORKSPACE_BASE"
        kind = error if space.free < _KERNELS_LEAST else warning
        yield kind(_ABOUT, seen, why, "", cure)


def _weights(case: Case) -> Iterator[Finding]:
    mount = mount_of(case.machine, case.plan.weights.resolve())
    if mount is None:
        return
    seen = f"the weights are on {mount.kind} ({mount.source})"
    cure = "copy them to a local NVMe disk"
    if _NETWORK.fullmatch(mount.kind):
        why = "the network limits the loading speed, and a network error ends the start"
        yield warning(_ABOUT, seen, why, "the guide (NVMe)", cure)
    elif mount.kind in _IN_MEMORY:
        why = "the weights take memory twice: in this filesystem and in the server"
        yield warning(_ABOUT, seen, why, "", cure)
    elif _rotates(case.machine, mount.source):
        name = Path(mount.source).name
        if name.startswith(("vd", "xvd")):
            why = "the kernel reports a rotating disk, but virtual disks often report this wrongly"
            yield note(_ABOUT, seen, why, "", "")
        else:
            size = case.checkpoint.total / _GIB
            why = f"a hard disk reads some 0.2 GiB/s: {size / 0.2 / 60:,.0f} min for these weights"
            yield warning(_ABOUT, seen, why, "the guide (NVMe)", cure)
    else:
        yield ok(_ABOUT, seen)


def _rotates(machine: Machine, source: str) -> bool:
    name = Path(source).name
    whole = re.sub(r"(?<=\d)p\d+$|(?<=[a-z])\d+$", "", name)
    for disk in dict.fromkeys((name, whole)):
        told = machine.read(f"sys/block/{disk}/queue/rotational").strip()
        if told:
            return told == "1"
    return False
