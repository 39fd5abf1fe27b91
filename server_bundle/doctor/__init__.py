"""Checks for anything that would stop a planned server from starting, or make it slow, before
minutes of loading.

The doctor only reads: it starts, loads and repairs nothing. Each finding says what was found, why
it matters, the source of that knowledge, and the fix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from server_bundle.doctor.case import Case
from server_bundle.doctor.checks import (
    clock,
    cpu,
    cuda,
    disk,
    environment,
    gpus,
    interpreter,
    limits,
    memory,
    packages,
    port,
    weights,
)
from server_bundle.doctor.facts.machine import Machine
from server_bundle.doctor.finding import Finding, Severity, error
from server_bundle.plan.launch_plan import LaunchPlan

__all__ = ["Finding", "Machine", "Severity", "examine"]

Check = Callable[[Case], Iterator[Finding]]


def examine(plan: LaunchPlan, machine: Machine | None = None) -> list[Finding]:
    """All findings. It raises nothing on a broken machine: a check that fails is a finding too."""
    case = Case(plan, machine or Machine())
    return [finding for about, check in _CHECKS for finding in _run_check(about, check, case)]


def _run_check(about: str, check: Check, case: Case) -> Iterator[Finding]:
    try:
        yield from check(case)
    except Exception as trouble:  # the other checks must still run
        seen = f"the check failed: {trouble or type(trouble).__name__}"
        yield error(about, seen, "this is a bug of ktserver doctor", "", "report it")


_CHECKS: tuple[tuple[str, Check], ...] = (
    ("gpus", gpus.check),
    ("driver", cuda.check),
    ("environment", environment.check),
    ("cpu", cpu.check),
    ("memory", memory.check),
    ("disk", disk.check),
    ("weights", weights.check),
    ("python", interpreter.check),
    ("packages", packages.check),
    ("kernels", gpus.kernels),
    ("port", port.check),
    ("limits", limits.check),
    ("clock", clock.check),
)
