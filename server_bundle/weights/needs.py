"""What a model will need of this machine: disk for the fetch, and memory for the plan that will
load it, judged by the doctor's own checks with the sizes of the hub's list.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from server_bundle.doctor.case import Case
from server_bundle.doctor.checks import gpus, memory
from server_bundle.doctor.facts.machine import Machine
from server_bundle.doctor.facts.safetensors import Checkpoint
from server_bundle.doctor.finding import Finding
from server_bundle.errors import FetchFailed
from server_bundle.plan import profile
from server_bundle.plan.launch_plan import LaunchPlan
from server_bundle.transfers.size import in_size
from server_bundle.weights.source import Source

RESERVE_BYTES = 1 << 30
"""Left free beside the weights: a disk that is full to the last byte disturbs other programs."""


@dataclass(frozen=True)
class Disk:
    """Bytes: what is still to be fetched with the reserve, and what is free there. `free` is None
    where that is unknown."""

    needed: int
    free: int | None

    @property
    def is_enough(self) -> bool:
        return self.free is None or self.free >= self.needed


def disk(machine: Machine, to: Path, missing_bytes: int) -> Disk:
    """Whether the missing bytes fit. Partial files become the files themselves, so nothing is
    needed twice."""
    space = machine.space(to)
    needed = missing_bytes + RESERVE_BYTES if missing_bytes else 0
    return Disk(needed, None if space is None else space.free)


def require_disk(found: Disk, to: Path) -> None:
    """Raise `FetchFailed` if the disk is too small."""
    if not found.is_enough:
        needed, free = in_size(found.needed), in_size(found.free or 0)
        raise FetchFailed(
            f"not fetched: {needed} are needed and {free} are free for {to}. Free some space, "
            "choose a folder on a larger disk with --to, or fetch all the same with --force"
        )


def profile_of(source: Source) -> str | None:
    """The first profile that is made for this model: by its repository, else by its name."""
    found = [profile.load(name) for name in profile.names()]
    wanted = source.repo.lower()
    by_repo = [one.name for one in found if one.model.lower() == wanted]
    by_name = [one.name for one in found if one.served_name.lower() == source.name.lower()]
    return next(iter([*by_repo, *by_name]), None)


@dataclass(frozen=True)
class _Listed(Case):
    """A case whose weights are not here yet."""

    sizes: tuple[tuple[str, int], ...] = ()

    @cached_property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.plan.weights, True, sizes=dict(self.sizes))


def memory_findings(plan: LaunchPlan, machine: Machine, sizes: dict[str, int]) -> list[Finding]:
    """The doctor's findings about GPUs and memory, for weights of these sizes (bytes)."""
    weights = tuple((path, size) for path, size in sizes.items() if path.endswith(".safetensors"))
    case = _Listed(plan, machine, weights)
    return [*gpus.check(case), *memory.check(case)]
