"""Facts about this machine for a plan: from /sys and /proc, and of its GPUs from nvidia-smi."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

from server_bundle.plan.memory import gpus
from server_bundle.plan.memory.gpus import Gpu


@dataclass(frozen=True)
class MachineFacts:
    """Cores, NUMA nodes and GPUs of a machine; None when unknown."""

    physical_cores: int | None
    numa_nodes: int | None
    gpus: int | None
    """The number of NVIDIA GPUs."""
    cards: tuple[Gpu, ...] = ()
    """The GPUs as nvidia-smi lists them; none where it fails, or was not asked."""


def read(root: Path = Path("/")) -> MachineFacts:
    """Read the facts of this machine."""
    drivers = root / "proc/driver/nvidia/gpus"
    return MachineFacts(
        physical_cores=_physical_cores(root / "sys/devices/system/cpu"),
        numa_nodes=_numa_nodes(root / "sys/devices/system/node"),
        gpus=len(list(drivers.iterdir())) if drivers.is_dir() else None,
    )


def with_cards(facts: MachineFacts) -> MachineFacts:
    """The same with its GPUs, by nvidia-smi. It may take seconds."""
    cards = gpus.of_machine()
    return replace(facts, cards=cards, gpus=len(cards) or facts.gpus)


def _physical_cores(folder: Path) -> int | None:
    """The number of distinct (package, core) pairs of all online processors."""
    cores = set()
    for topology in folder.glob("cpu[0-9]*/topology"):
        with contextlib.suppress(OSError):  # an offline processor has no topology
            cores.add(
                tuple(
                    (topology / name).read_text().strip()
                    for name in ("physical_package_id", "core_id")
                )
            )
    return len(cores) or None


def _numa_nodes(folder: Path) -> int | None:
    """The number of nodes with processors: GPU or CXL memory may be a node without any."""
    nodes = 0
    for cpus in folder.glob("node[0-9]*/cpulist"):
        with contextlib.suppress(OSError):
            nodes += bool(cpus.read_text().strip())
    return nodes or None
