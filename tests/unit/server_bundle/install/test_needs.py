"""What a machine lacks for an installation: errors and warnings, with the fix."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from server_bundle.doctor.facts.commands import Answer
from server_bundle.doctor.facts.machine import Machine, Space
from server_bundle.doctor.finding import Finding
from server_bundle.install import lock as lock_file
from server_bundle.install import needs
from server_bundle.install.interpreters import Interpreter
from server_bundle.install.layout import Layout
from server_bundle.install.lock import Lock

BASE = Interpreter("/usr/bin/python3.12", "3.12.4", "x86_64", ("glibc", "2.39"), True, True)
GPU = "0, GPU-1, NVIDIA GeForce RTX 5090, 32607, 0, 12.0, {driver}"
FLAGS = "fpu avx avx2 avx512f avx512bw avx512_bf16"


def machine(
    root: Path, free: int = 10**12, driver: str = "580.65.06", flags: str = FLAGS
) -> Machine:
    """One with a GPU, compilers, and so many free bytes."""
    (root / "proc").mkdir(parents=True, exist_ok=True)
    (root / "proc/cpuinfo").write_text(f"processor : 0\nflags\t\t: {flags}\n")

    def run(argv: Sequence[str]) -> Answer | None:
        if argv[0] == "nvidia-smi":
            listed = GPU.format(driver=driver) if len(argv) > 1 else "CUDA Version: 13.0"
            return Answer(0, listed) if driver else None
        is_there = argv[0] in ("gcc", "nvcc")
        return Answer(0, "Cuda compilation tools, release 12.9, V12") if is_there else None

    return Machine(root=root, run=run, space=lambda path: Space(10**13, free))


def found(
    lock: Lock, tmp_path: Path, here: Machine, base: Interpreter | None = BASE
) -> dict[tuple[str, str], Finding]:
    """(severity, about) -> finding."""
    listed = needs.examine(lock, Layout(tmp_path / "env"), base, here, "MXFP4")
    return {(one.severity.value, one.about): one for one in listed}


@pytest.fixture
def lock() -> Lock:
    return lock_file.find("sglang-kt", "0.7.2", "3.12")


def test_a_good_machine_lacks_nothing(lock: Lock, tmp_path: Path) -> None:
    assert {kind for kind, _ in found(lock, tmp_path, machine(tmp_path))} == {"ok"}


def test_what_makes_the_gigabytes_useless_is_an_error(lock: Lock, tmp_path: Path) -> None:
    """Each with its number, and what to do."""
    old = dataclasses.replace(BASE, libc=("glibc", "2.31"), machine="aarch64")
    here = machine(tmp_path, free=10**9, driver="470.82.01", flags="fpu avx")
    seen = found(lock, tmp_path, here, old)
    assert "1.0 GB free" in seen["error", "disk"].found
    assert seen["error", "machine"].found == "aarch64"
    assert f"GLIBC_{lock.glibc}" in seen["error", "glibc"].reason
    assert "avx2" in seen["error", "cpu"].found
    assert "470.82.01" in seen["error", "driver"].found
    assert all(one.cure for one in needs.blocking(list(seen.values())))
    musl = dataclasses.replace(BASE, libc=("", ""))
    assert "musl" in found(lock, tmp_path, here, musl)["error", "glibc"].reason


def test_what_can_be_added_later_is_a_warning(lock: Lock, tmp_path: Path) -> None:
    """A driver, a compiler, Python's header."""
    bare = dataclasses.replace(machine(tmp_path, driver=""), run=lambda argv: None)
    seen = found(lock, tmp_path, bare, dataclasses.replace(BASE, has_header=False))
    assert {kind for kind, _ in seen} == {"ok", "warning"}
    assert lock.driver is not None and lock.driver in seen["warning", "driver"].reason
    assert "python3.12-dev" in seen["warning", "compiler"].cure


def test_what_has_arrived_is_not_counted_again(lock: Lock, tmp_path: Path) -> None:
    layout, here = Layout(tmp_path / "env"), machine(tmp_path)
    before = needs.amounts(lock, layout, here)
    layout.wheels.mkdir(parents=True)
    large = max(lock.wheels, key=lambda one: one.size)
    with (layout.wheels / f"{large.file}.part").open("wb") as part:
        part.truncate(large.size - 7)
    after = needs.amounts(lock, layout, here)
    assert (before.there, after.there) == (0, large.size - 7)
    assert before.disk - after.disk == after.there and before.total == lock.fetched


def test_what_the_first_import_unpacks_is_counted(lock: Lock, tmp_path: Path) -> None:
    """The wheels are gone by then: the larger need of the two counts."""
    layout, here = Layout(tmp_path / "env"), machine(tmp_path)
    later = lock.first_import
    assert later is not None and later.written < later.room
    assert lock.used == lock.unpacked + later.written

    def needed(room: int) -> int:
        first = dataclasses.replace(later, room=room)
        return needs.amounts(dataclasses.replace(lock, first_import=first), layout, here).disk

    assert needed(lock.fetched) == needed(0)
    assert needed(lock.fetched + 5_000) == needed(0) + 5_000
    none = dataclasses.replace(lock, first_import=None)
    assert needs.amounts(none, layout, here).disk == needed(0)
