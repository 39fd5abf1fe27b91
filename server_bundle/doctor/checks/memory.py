"""Memory: RAM for the experts, shared memory, container limits and huge pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from jobs.system import cgroup
from server_bundle.doctor.case import Case
from server_bundle.doctor.finding import Finding, error, note, ok, warning

_ABOUT = "memory"
_GIB = 1 << 30
_SHM_LEAST = 64 << 20
"""Docker's default; NCCL fails with it."""
_SHM_GOOD = 1 * _GIB
_EXPERTS = 0.85
"""At least this share of an MoE model's weights are routed experts, which stay in RAM."""
_V1_LIMIT = "sys/fs/cgroup/memory/memory.limit_in_bytes"


def check(case: Case) -> Iterator[Finding]:
    """Check RAM against the size of the weights, then shared memory and huge pages."""
    yield from _ram(case)
    yield from _shared(case)
    yield from _huge_pages(case)


def meminfo(text: str, name: str) -> int:
    """A value of /proc/meminfo in bytes; 0 where it is missing. Counts (`HugePages_Total`) have no
    unit."""
    found = re.search(rf"^{name}:\s+(\d+)( kB)?$", text, re.M)
    return int(found[1]) * (1024 if found[2] else 1) if found else 0


def _gib(size: float) -> str:
    return f"{size / _GIB:,.0f} GiB" if size >= 10 * _GIB else f"{size / _GIB:,.1f} GiB"


def _ram(case: Case) -> Iterator[Finding]:
    text = case.machine.read("proc/meminfo")
    left, where = meminfo(text, "MemAvailable"), "of RAM available"
    room = _limit(case)
    if room is not None and room[0] < left:
        left, where = room[0], f"available below this container's limit ({room[1]})"
    need = case.checkpoint.total
    seen = f"{_gib(left)} {where}"
    if not case.uses_cpu_experts or need == 0:
        yield ok(_ABOUT, seen)
        return
    swap = meminfo(text, "SwapTotal")
    seen += f"; the weights need {_gib(need)}"
    cure = "stop other programs, raise the container's limit, or add RAM"
    if left < need * _EXPERTS:
        why = "the experts stay in RAM: the kernel would kill the server while it loads"
        if swap > 0:
            why = "the experts stay in RAM: swapped out, each answer would read them from disk"
        yield error(_ABOUT, seen, why, "KT DeepSeek-V4-Flash.md; sglang #37931", cure)
    elif left < need * 1.1:
        why = "the experts stay in RAM, and little is left for other programs"
        yield warning(_ABOUT, seen, why, "KT DeepSeek-V4-Flash.md (200 GB)", cure)
    else:
        yield ok(_ABOUT, seen)


def _limit(case: Case) -> tuple[int, Path | str] | None:
    """The memory that a cgroup limit leaves, in bytes, and the file that holds the limit."""
    room = cgroup.memory_room("self", case.machine.root)
    if room is not None:
        return room.left, room.where
    told = case.machine.read(_V1_LIMIT).strip()
    if told.isdigit() and int(told) < 1 << 60:  # cgroup v1 without a limit has a huge number
        return int(told), f"/{_V1_LIMIT}"
    return None


def _shared(case: Case) -> Iterator[Finding]:
    if case.wants_gpus < 2:
        return
    space = case.machine.space(case.machine.root / "dev/shm")
    if space is None:
        return
    seen = f"/dev/shm has {_gib(space.free)} free of {_gib(space.total)}"
    why = "NCCL's processes communicate through it: Error while creating shared memory segment"
    cure = "use docker run --shm-size=32g or --ipc=host, or mount -o remount,size=32g /dev/shm"
    if space.free <= _SHM_LEAST:
        yield error(_ABOUT, seen, why, "sglang #5096", cure)
    elif space.free < _SHM_GOOD:
        yield warning(_ABOUT, seen, why, "sglang #5096", cure)
    else:
        yield ok(_ABOUT, seen)


def _huge_pages(case: Case) -> Iterator[Finding]:
    text = case.machine.read("proc/meminfo")
    reserved = meminfo(text, "HugePages_Total") * meminfo(text, "Hugepagesize")
    if reserved > meminfo(text, "MemTotal") * 0.05:
        why = "only programs that request reserved pages can use them, and the server does not"
        cure = "run sysctl vm.nr_hugepages=0"
        yield warning(_ABOUT, f"{_gib(reserved)} in reserved huge pages", why, "hugetlbpage", cure)
    if case.uses_cpu_experts and "[never]" in case.machine.read(
        "sys/kernel/mm/transparent_hugepage/enabled"
    ):
        why = "experts are read at random over hundreds of GiB: large pages save TLB misses"
        cure = "run echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"
        yield note(_ABOUT, "transparent huge pages are off", why, "transhuge.rst", cure)
