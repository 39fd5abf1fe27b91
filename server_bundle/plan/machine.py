"""What a plan needs to know of this machine, read from /sys and /proc."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MachineFacts:
    """None: unknown."""

    physical_cores: int | None
    numa_nodes: int | None
    gpus: int | None
    """Of NVIDIA's."""


def read(root: Path = Path("/")) -> MachineFacts:
    """This machine's."""
    drivers = root / "proc/driver/nvidia/gpus"
    return MachineFacts(
        physical_cores=_physical_cores(root / "sys/devices/system/cpu"),
        numa_nodes=_numa_nodes(root / "sys/devices/system/node"),
        gpus=len(list(drivers.iterdir())) if drivers.is_dir() else None,
    )


def _physical_cores(folder: Path) -> int | None:
    """Pairs of package and core, of the processors that are online."""
    cores = set()
    for topology in folder.glob("cpu[0-9]*/topology"):
        with contextlib.suppress(OSError):  # a processor that is offline has none
            cores.add(
                tuple(
                    (topology / name).read_text().strip()
                    for name in ("physical_package_id", "core_id")
                )
            )
    return len(cores) or None


def _numa_nodes(folder: Path) -> int | None:
    """Nodes with processors: memory of a GPU or of CXL may be a node too."""
    nodes = 0
    for cpus in folder.glob("node[0-9]*/cpulist"):
        with contextlib.suppress(OSError):
            nodes += bool(cpus.read_text().strip())
    return nodes or None
