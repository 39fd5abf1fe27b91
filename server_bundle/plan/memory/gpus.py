"""The GPUs that a plan is made for: those of this machine by nvidia-smi, or named by an option."""

from __future__ import annotations

import csv
import difflib
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from jobs import child_environment
from server_bundle import package_data
from server_bundle.errors import PlanRefused

Capability = tuple[int, int]
_QUERY = ("--query-gpu=name,memory.total,compute_cap", "--format=csv,noheader,nounits")
_PATIENCE_SECONDS = 30.0
"""nvidia-smi takes seconds without the persistence daemon; with a hung driver it never ends."""
_MIB_IN_GIB = 1024
_BEFORE_LOAD_GIB = 1.21
"""What is gone of nvidia-smi's total before a server loads anything: the driver's own (0.60), the
CUDA context (0.51) and a first allocation (0.09). Measured on an H200: 140.40 GiB, of which sglang
had 139.19 ("total_gpu_memory"). On an H100 it was 1.07."""
_MOST_GIB = 4096.0


@dataclass(frozen=True)
class Gpu:
    """One kind of GPU. `mib`: its memory as nvidia-smi shows it; `capability`: its compute
    capability. None where unknown: a DGX Spark shows no memory of its own."""

    name: str
    mib: int | None
    capability: Capability | None

    @property
    def before_load_gib(self) -> float | None:
        """What a server has of it before loading anything, in GiB."""
        return None if self.mib is None else self.mib / _MIB_IN_GIB - _BEFORE_LOAD_GIB

    @property
    def title(self) -> str:
        """Name, memory and compute capability, for people."""
        memory = "memory unknown" if self.mib is None else f"{self.mib / _MIB_IN_GIB:.1f} GiB"
        dotted = "unknown" if self.capability is None else "{}.{}".format(*self.capability)
        return f"{self.name} ({memory}, compute capability {dotted})"

    def is_like(self, other: Gpu) -> bool:
        """Whether it has the memory and the compute capability of another one. Drivers differ by
        some MiB in what they show."""
        if self.mib is None or other.mib is None or self.capability != other.capability:
            return False
        return abs(self.mib - other.mib) <= other.mib * 0.01


def of_machine() -> tuple[Gpu, ...]:
    """All GPUs of this machine, by nvidia-smi; none where there is none, or it fails. The doctor
    says why."""
    try:
        done = subprocess.run(
            ["nvidia-smi", *_QUERY],
            env=child_environment.inherited(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parse(done.stdout.decode(errors="replace")) if done.returncode == 0 else ()


def parse(text: str) -> tuple[Gpu, ...]:
    """The rows of nvidia-smi's answer, in its order."""
    rows = csv.reader(text.splitlines(), skipinitialspace=True)
    cells = [[cell.strip() for cell in row] for row in rows if len(row) == 3]
    return tuple(Gpu(name, _whole(mib), _capability(dotted)) for name, mib, dotted in cells)


def visible(listed: Sequence[Gpu], chosen: str | None, count: int) -> tuple[Gpu, ...]:
    """The first `count` GPUs that a server sees; none if there are fewer. `chosen`: its
    CUDA_VISIBLE_DEVICES, of which only numbers are understood."""
    words = [str(n) for n in range(count)] if chosen is None else chosen.split(",")
    numbers = [int(word) for word in map(str.strip, words) if word.isdigit()][:count]
    if len(numbers) < count or any(number >= len(listed) for number in numbers):
        return ()
    return tuple(listed[number] for number in numbers)


def smallest(seen: Sequence[Gpu]) -> Gpu:
    """The GPU that limits the others: a server takes the least memory of all, and the kernels that
    the oldest one has."""
    known = [gpu for gpu in seen if gpu.mib is not None]
    least = min(known, key=lambda gpu: gpu.mib or 0) if len(known) == len(seen) else seen[0]
    capabilities = [gpu.capability for gpu in seen if gpu.capability is not None]
    return replace(least, capability=min(capabilities, default=None))


def of_options(name: str | None, gib: float | None) -> Gpu | None:
    """The GPU that `--gpu NAME` and `--gpu-memory GIB` describe; None without both. Raises
    `PlanRefused` for an unknown name and an impossible size."""
    if gib is not None and not 1 <= gib <= _MOST_GIB:
        raise PlanRefused(
            f"--gpu-memory {gib:g}: give the memory of one GPU in GiB, as nvidia-smi shows it; "
            "for example: 31.8"
        )
    mib = None if gib is None else round(gib * _MIB_IN_GIB)
    if name is None:
        return None if mib is None else Gpu("GPU", mib, None)
    found = named(name)
    return found if mib is None else replace(found, mib=mib)


def named(text: str) -> Gpu:
    """A known GPU by its name, as nvidia-smi, its vendor or people write it. Raises
    `PlanRefused`."""
    known = {_plain(name): name for name in _table()}
    plain = _plain(text)
    longer = [key for key in sorted(known, key=len, reverse=True) if plain.startswith(key)]
    shorter = [key for key in known if plain and key.startswith(plain)]
    name = known[longer[0]] if longer else known[shorter[0]] if len(shorter) == 1 else None
    if name is None:
        close = difflib.get_close_matches(plain, known, n=1)
        hint = f"; did you mean {known[close[0]]!r}?" if close else "."
        raise PlanRefused(
            f"--gpu {text!r} is not known{hint} Known are {', '.join(_table())}; for another one "
            "give --gpu-memory GIB"
        )
    one = _table()[name]
    return Gpu(name, one["mib"], _capability(one["capability"]))


def _plain(name: str) -> str:
    """A name without what differs between spellings: vendor, case, blanks and dashes."""
    return re.sub(r"nvidia|geforce|[\s_-]", "", name.lower())


@cache
def _table() -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = package_data.read(Path(__file__).with_name("gpus.toml"))
    return table["gpu"]


def _whole(cell: str) -> int | None:
    return int(cell) if cell.isdigit() else None  # else [N/A], [Not Supported]


def _capability(cell: str) -> Capability | None:
    found = re.fullmatch(r"(\d{1,3})\.(\d{1,3})", cell)
    return (int(found[1]), int(found[2])) if found else None
