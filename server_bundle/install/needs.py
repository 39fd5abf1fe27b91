"""What an installation needs of a machine, and what the machine lacks: judged before anything is
fetched.

An ERROR would make gigabytes useless; a WARNING can be repaired afterwards.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass

from jobs.system import filesystem
from server_bundle.doctor import Finding, Machine, Severity
from server_bundle.doctor.case import Case
from server_bundle.doctor.checks import cpu, cuda
from server_bundle.doctor.facts import nvidia
from server_bundle.doctor.finding import error, ok, warning
from server_bundle.install import wheels
from server_bundle.install.interpreters import Interpreter
from server_bundle.install.layout import Layout
from server_bundle.install.lock import Lock
from server_bundle.plan.launch_plan import LaunchPlan
from server_bundle.plan.version_rules import order
from server_bundle.transfers.size import in_size

MACHINE = "x86_64"
"""The only architecture that the lock files are for."""
_SPARE = 256 << 20
"""For the environment itself, logs, and blocks that files do not fill."""
_GROWTH = 1.03
"""What files take on disk, compared with their bytes: 4 KiB blocks, compiled files of pip."""


@dataclass(frozen=True)
class Amounts:
    """Bytes of an installation."""

    total: int
    """Of all wheels, as they are fetched."""
    there: int
    """Of these, what has arrived before."""
    disk: int
    """What the disk still needs at most: while wheels and environment are both there, or at the
    first import, whichever is more."""
    free: int | None


def amounts(lock: Lock, layout: Layout, machine: Machine) -> Amounts:
    """What is to be fetched, and the room that it needs."""
    total = sum(one.size for one in lock.wheels)
    there = sum(wheels.there(one, layout.wheels) for one in lock.wheels)
    installed = int(lock.unpacked * _GROWTH) + _SPARE - _bytes_in(layout)
    # The wheels are removed before anything is imported.
    later = lock.first_import.room - there if lock.first_import else 0
    disk = installed + max(total - there, later)
    space = machine.space(layout.folder)
    return Amounts(total, there, max(disk, 0), None if space is None else space.free)


def _bytes_in(layout: Layout) -> int:
    """What an earlier attempt wrote, which is removed before the packages are installed."""
    found = 0
    for top in (layout.folder / "lib", layout.cache):
        for parent, _, names in os.walk(top):
            for name in names:
                try:
                    found += os.lstat(os.path.join(parent, name)).st_blocks * 512
                except OSError:
                    continue
    return found


def examine(
    lock: Lock, layout: Layout, base: Interpreter | None, machine: Machine, method: str | None
) -> list[Finding]:
    """All findings. `base` is None where uv will fetch the Python; `method` is the format of the
    experts on the CPU, if a profile says it."""
    return [
        *_disk(amounts(lock, layout, machine), layout),
        *_architecture(lock, base),
        *_processor(lock, machine, method),
        *_gpu(lock, machine),
        *_compilers(lock, base, machine),
    ]


def blocking(findings: list[Finding]) -> list[Finding]:
    """Those for which the installation must not begin."""
    return [one for one in findings if one.severity is Severity.ERROR]


def _disk(needed: Amounts, layout: Layout) -> Iterator[Finding]:
    place = next(one for one in (layout.folder, *layout.folder.parents) if one.exists())
    if needed.free is not None and needed.free < needed.disk:
        seen = f"{in_size(needed.free)} free at {place}, {in_size(needed.disk)} needed"
        why = "the packages, and beside them the wheels until the end"
        yield error("disk", seen, why, "the lock file", "free some space, or name another --venv")
    elif needed.free is not None:
        yield ok("disk", f"{in_size(needed.free)} free, {in_size(needed.disk)} needed at most")
    if os.statvfs(place).f_flag & os.ST_NOEXEC:
        why = "Python could not load a library from there: failed to map segment from shared object"
        cure = "name a folder on another file system: --venv"
        yield error("disk", f"{place} is mounted noexec", why, "mount(8)", cure)
    kind = filesystem.network_type(layout.folder)
    if kind is not None:
        why = "a server reads tens of thousands of files from there at each start"
        cure = "name a folder on a local disk with --venv, unless several machines share it"
        yield warning("disk", f"{place} is on {kind}, a network file system", why, "", cure)


def _architecture(lock: Lock, base: Interpreter | None) -> Iterator[Finding]:
    machine = base.machine if base else os.uname().machine
    if machine != MACHINE:
        why = f"the wheels of {lock.engine} are for {MACHINE} only"
        yield error("machine", machine, why, "the lock file", "use an x86-64 machine")
    if base is None:
        return
    name, version = base.libc
    if name != "glibc":
        why = f"the wheels need glibc {lock.glibc}; a system with musl has none (Alpine)"
        cure = "use a distribution with glibc, such as Debian or Ubuntu"
        yield error("glibc", name or "no glibc", why, "manylinux tags of the wheels", cure)
    elif order(version) < order(lock.glibc):
        why = f"some wheels need {lock.glibc}: version `GLIBC_{lock.glibc}' not found"
        cure = "use a newer distribution, or a container of one"
        yield error("glibc", f"glibc {version}", why, "manylinux tags of the wheels", cure)
    else:
        yield ok("machine", f"{machine}, glibc {version}, Python {base.version} ({base.path})")


def _processor(lock: Lock, machine: Machine, method: str | None) -> Iterator[Finding]:
    text = machine.read("proc/cpuinfo")
    flags = next(
        (set(li.partition(":")[2].split()) for li in text.splitlines() if li[:5] == "flags"), set()
    )
    absent = [one for one in lock.instructions if one not in flags]
    if absent and flags:
        why = "its code would end with SIGILL (illegal instruction)"
        seen = f"the processor lacks {', '.join(absent)}"
        yield error("cpu", seen, why, "the lock file", "use another machine")
    elif method is not None:
        yield from _grave(cpu.check(_case(lock, machine, method)))


def _gpu(lock: Lock, machine: Machine) -> Iterator[Finding]:
    if lock.cuda is None or lock.driver is None:
        return
    listed = nvidia.gpus(machine)
    if not listed:
        seen = "nvidia-smi lists no GPU"
        why = f"the packages are for CUDA {lock.cuda}, driver {lock.driver} or newer"
        cure = "on the machine that will run the server, install the driver"
        yield warning("driver", seen, why, "CUDA release notes", cure)
        return
    driver = listed[0].driver
    if order(driver) < order(lock.driver):
        why = f"CUDA {lock.cuda} needs {lock.driver}: The NVIDIA driver on your system is too old"
        cure = "install a newer driver; or install with --no-check now, and the driver later"
        yield error("driver", f"driver {driver}", why, "CUDA release notes", cure)
        return
    yield ok("driver", f"{len(listed)} x {listed[0].name}, driver {driver}, for CUDA {lock.cuda}")
    yield from _grave(cuda.check(_case(lock, machine, None)))


def _compilers(lock: Lock, base: Interpreter | None, machine: Machine) -> Iterator[Finding]:
    """Triton compiles a small C file against Python.h at the first forward."""
    if lock.cuda is None:
        return
    named = machine.environment.get("CC")
    if not any(
        machine.run([one, "--version"]) for one in (*([named] if named else []), "gcc", "clang")
    ):
        why = "Triton compiles at the first forward: Failed to find C compiler"
        yield warning("compiler", "no gcc and no clang", why, "sglang #1067", "apt install gcc")
    if base is not None and not base.has_header:
        why = "Triton compiles at the first forward: Python.h: No such file or directory"
        cure = f"apt install python{base.minor}-dev, or take the Python of uv: uv python install"
        yield warning("compiler", f"{base.path} has no Python.h", why, "sglang #1117", cure)


def _grave(found: Iterator[Finding]) -> Iterator[Finding]:
    yield from (one for one in found if one.severity in (Severity.ERROR, Severity.WARNING))


def _case(lock: Lock, machine: Machine, method: str | None) -> Case:
    nodes = len(machine.names("sys/devices/system/node/node[0-9]*/cpulist")) or 1
    plan = plan_of(lock, "/nonexistent/python", method)
    pools = ("--kt-threadpool-count", str(nodes))
    return Case(dataclasses.replace(plan, argv=(*plan.argv, *pools)), machine)


def plan_of(lock: Lock, python: str, method: str | None) -> LaunchPlan:
    """A server of this engine for the doctor, with no flag that it could object to but the format
    of the experts."""
    experts = ("--kt-weight-path", ".", "--kt-method", method) if method else ()
    device = ("--device", "cpu") if lock.cuda is None else ()
    return LaunchPlan(
        profile="",
        engine=lock.engine,
        version=lock.version,
        python=python,
        model=".",
        served_name="",
        host="127.0.0.1",
        port=0,
        prefix=(),
        argv=(python, *experts, *device),
        environment={},
        context=None,
        planned_pool=None,
        warmup_tokens=0,
        gpus=0 if lock.cuda is None else 1,
        ready_seconds=0.0,
    )
