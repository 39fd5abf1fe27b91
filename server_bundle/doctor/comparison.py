"""A command line beside the plan for the same machine: each difference, and what it means for long
requests. Pure, except for the reading of its own table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from server_bundle import package_data
from server_bundle.plan import arguments
from server_bundle.plan.flags import Planned
from server_bundle.plan.launch_plan import LaunchPlan
from server_bundle.plan.profile import Profile

_TABLE = Path(__file__).with_name("comparison.toml")
_SET = "set"
_SAME = {
    "--model-path": "--model",
    "--tp-size": "--tensor-parallel-size",
    "--tp": "--tensor-parallel-size",
    "--ctx-length": "--context-length",
}
_OF_THE_CALLER = ("--model", "--port", "--config", "--api-key", "--admin-api-key")
"""Not compared: they are the user's own, or a key, which is never shown."""


@dataclass(frozen=True)
class Line:
    """One difference. `theirs`, `ours`: the values; None where it is not set."""

    what: str
    theirs: str | None
    ours: str | None
    reason: str
    source: str


def compare(theirs: LaunchPlan, planned: Planned, profile: Profile) -> list[Line]:
    """The differences that matter, those with a known meaning first, in the plan's order."""
    given, ours = _values(theirs.argv), _values(planned.plan.argv)
    reasons = _reasons(planned, profile)
    names = [*ours, *(name for name in given if name not in ours)]
    lines = [
        _line(name, given.get(name), ours.get(name), reasons)
        for name in names
        if given.get(name) != ours.get(name) and name not in _OF_THE_CALLER
    ]
    needed = planned.plan.environment
    lines += [
        Line(one.name, theirs.environment.get(one.name), needed[one.name], one.reason, one.source)
        for one in profile.variables
        if theirs.environment.get(one.name) != needed.get(one.name)
    ]
    return sorted(lines, key=lambda one: not one.reason)


def _values(argv: Sequence[str]) -> dict[str, str]:
    at = next((place for place, word in enumerate(argv) if word.startswith("--")), len(argv))
    found = {}
    for name, values in arguments.parse(argv[at:]):
        found[_SAME.get(name, name)] = " ".join(values) or _SET
    return found


def _reasons(planned: Planned, profile: Profile) -> dict[str, tuple[str, str]]:
    found = {one.name: (one.reason, one.source) for one in profile.flags}
    found |= {one.what: (one.reason, one.evidence) for one in planned.differences if one.evidence}
    return found


def _line(
    name: str, theirs: str | None, ours: str | None, reasons: Mapping[str, tuple[str, str]]
) -> Line:
    meaning = _meanings().get(name)
    if meaning is not None and meaning.get("when", theirs) == theirs:
        return Line(name, theirs, ours, meaning["text"], meaning["source"])
    reason, source = reasons.get(name, ("", ""))
    return Line(name, theirs, ours, reason, source)


@cache
def _meanings() -> dict[str, dict[str, str]]:
    return dict(package_data.read(_TABLE)["meaning"])
