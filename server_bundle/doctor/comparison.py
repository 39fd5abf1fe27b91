"""A typed command beside the plan for the same machine: each difference, and what it does to a long
request. Pure, except for the reading of its own table."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from server_bundle import addresses, package_data
from server_bundle.doctor import effects, numbers, room
from server_bundle.doctor.command_line import Typed
from server_bundle.doctor.effects import Given
from server_bundle.doctor.finding import Severity
from server_bundle.doctor.flags import Flags
from server_bundle.doctor.room import Deployment, Room
from server_bundle.plan import arguments, kv_pool, version_rules
from server_bundle.plan.flags import PREFIX, Planned
from server_bundle.plan.machine import MachineFacts
from server_bundle.plan.profile import Profile

_TABLE = Path(__file__).with_name("comparison.toml")
SET = "set"
_SAME = {
    "--model-path": "--model",
    "--tp-size": "--tensor-parallel-size",
    "--tp": "--tensor-parallel-size",
    "--ctx-length": "--context-length",
}
_KEYS = ("--api-key", "--admin-api-key")
_OF_THE_CALLER = ("--model", "--host", "--port", "--config", *_KEYS)
"""Not compared: they are the user's own (`_exposed` looks at the address), or a key, which is never
shown."""
_ORDER = (Severity.ERROR, Severity.WARNING, Severity.NOTE)
_ALIKE = 0.85
"""So similar are a flag of the plan and a misspelt one (difflib's ratio)."""


@dataclass(frozen=True)
class Line:
    """One difference. `theirs`, `plan`: the values; None where it is not set."""

    severity: Severity
    what: str
    theirs: str | None
    plan: str | None
    effect: str
    source: str


@dataclass(frozen=True)
class Comparison:
    """`longest`: the longest prompt in tokens that the command's server computes, with an answer of
    up to 4,096; None where the command does not say it. `other`: flags without a known effect."""

    lines: tuple[Line, ...]
    other: tuple[Line, ...]
    longest: int | None
    longest_planned: int | None

    @property
    def has_harm(self) -> bool:
        """Whether a long request or the start would fail."""
        return any(one.severity is Severity.ERROR for one in self.lines)


@dataclass(frozen=True)
class Sides:
    """The command and the plan, on one machine. `window`: the model's own, in tokens."""

    typed: Typed
    planned: Planned
    profile: Profile
    machine: MachineFacts
    window: int | None
    variables: Mapping[str, str]
    """Those of the shell, which a command inherits that is started from it."""

    @property
    def version(self) -> str | None:
        return self.typed.plan.version or self.planned.plan.version

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the command's server."""
        inherited = {} if self.typed.container else dict(self.variables)
        return {**inherited, **self.typed.plan.environment}

    def room(self) -> Room:
        """How long a request the command's server can compute."""
        theirs = self.typed.plan
        there = Deployment(self.profile, self.planned.basis, self.version, theirs.gpus, self.window)
        return room.of(Flags(theirs.argv), there)


def compare(sides: Sides) -> Comparison:
    """All differences, those that harm first, then in the plan's order."""
    seen, longest = sides.room(), _longest(sides)
    flags = list(_flags(sides, seen, longest))
    found = [
        *_no_numbers(sides),
        *(one for one in flags if one.severity is Severity.ERROR),
        *_rules(sides),  # what a version makes of a flag counts more than the flag's usual effect
        *flags,
        *_variables(sides),
        *_prefix(sides),
        *_container(sides),
        *_exposed(sides),
    ]
    told: dict[str, Line] = {}
    for one in found:
        told.setdefault(one.what, one)
    lines = sorted((one for one in told.values() if one.effect), key=_rank)
    other = tuple(one for one in told.values() if not one.effect)
    return Comparison(tuple(lines), other, seen.longest, longest)


def _longest(sides: Sides) -> int | None:
    """Of the plan; None where its pool is not known although the profile has one."""
    kv, context = sides.planned.kv, sides.planned.plan.context
    if kv is None:
        return None if sides.profile.kv is not None else context
    safe = kv_pool.safe_context(kv.pool)
    return safe if context is None else min(safe, context)


def _rank(line: Line) -> int:
    return _ORDER.index(line.severity)


def values(argv: Sequence[str], known: Sequence[str] = ()) -> dict[str, str]:
    """The flags of a command line by one name each; like argparse, it accepts the unambiguous
    beginning of a known one. Raises ValueError for words that belong to no flag."""
    at = next((place for place, word in enumerate(argv) if word.startswith("--")), len(argv))
    found = {}
    for name, words in arguments.parse(argv[at:]):
        name = _SAME.get(name, name)
        longer = [one for one in known if one.startswith(name)]
        if name not in known and len(longer) == 1 and len(name) > len("--kt-"):
            name = longer[0]
        found[name] = " ".join(words) or SET
    return found


def _both(sides: Sides) -> tuple[dict[str, str], dict[str, str]]:
    ours = values(sides.planned.plan.argv)
    known = {*ours, *(one["name"] for one in _effects()), *effects.NAMES, *_KEYS}
    return values(sides.typed.plan.argv, sorted(known)), ours


def _flags(sides: Sides, seen: Room, longest: int | None) -> Iterator[Line]:
    given, ours = _both(sides)
    reasons = {one.name: (one.reason, one.source) for one in sides.profile.flags}
    for name in [*ours, *(name for name in given if name not in ours)]:
        theirs, plan = given.get(name), ours.get(name)
        if theirs == plan or name in _OF_THE_CALLER:
            continue
        beside = Given(
            theirs,
            plan,
            seen,
            longest,
            effects.whole(given.get("--chunked-prefill-size")),
            effects.whole(given.get("--kt-gpu-prefill-token-threshold")),
            sides.profile.engine == "sglang-kt",
            sides.machine,
        )
        effect = effects.of(name, beside) or _by_table(sides, name, theirs)
        if effect is None and name in reasons and plan is not None:
            reason, source = reasons[name]
            effect = (Severity.NOTE, f"in the plan because: {reason}", source)
        if effect is None and plan is None:
            effect = _misspelt(name, given, ours)
        severity, text, source = effect or (Severity.NOTE, "", "")
        yield Line(severity, name, theirs, plan, text, source)


def _no_numbers(sides: Sides) -> Iterator[Line]:
    given, ours = _both(sides)
    for name, why in numbers.refused(given):
        source = "sglang's argument parser"
        yield Line(Severity.ERROR, name, given[name], ours.get(name), why, source)


def _misspelt(
    name: str, given: Mapping[str, str], ours: Mapping[str, str]
) -> effects.Effect | None:
    missing = [one for one in (*ours, *effects.NAMES) if one not in given]
    close = difflib.get_close_matches(name, missing, 1, _ALIKE)
    if not close:
        return None
    text = f"is it {close[0]}? The start ends at an option that this sglang does not know"
    return Severity.ERROR, text, "sglang's argument parser"


def _by_table(sides: Sides, name: str, theirs: str | None) -> effects.Effect | None:
    for one in _effects():
        when = one.get("when")
        is_meant = when in (None, theirs, "missing" if theirs is None else SET)
        if (
            one["name"] == name
            and is_meant
            and one.get("engine") in (None, sides.profile.engine)
            and one.get("family") in (None, sides.profile.family)
        ):
            return Severity(one["severity"]), one["text"], one["source"]
    return None


def _rules(sides: Sides) -> Iterator[Line]:
    """What this version does not accept, or does differently."""
    given, ours = _both(sides)
    engine, family = sides.profile.engine, sides.profile.family
    for rule in version_rules.rules(engine, sides.version, family):
        theirs = given.get(rule.flag or "")
        if rule.flag is None or theirs is None or theirs == ours.get(rule.flag):
            continue
        severity = Severity.WARNING
        if rule.action == version_rules.DROP:
            severity = Severity.ERROR
        elif rule.action == version_rules.FLOOR:
            number = effects.whole(theirs)
            if number is None or number >= (rule.value or 0):
                continue
            severity = Severity.ERROR
        plan = ours.get(rule.flag)
        yield Line(severity, rule.flag, theirs, plan, rule.reason, rule.source)


def _variables(sides: Sides) -> Iterator[Line]:
    theirs, ours = sides.environment, sides.planned.plan.environment
    timers = {one["name"] for one in _effects() if not one["name"].startswith("-")}
    for name in [*ours, *sorted(timers - set(ours))]:
        value, plan = theirs.get(name), ours.get(name)
        if value == plan or (name not in ours and value in (None, "", "-1")):
            continue
        effect = _by_table(sides, name, value)
        reason = {one.name: (one.reason, one.source) for one in sides.profile.variables}.get(name)
        if effect is None and reason is not None:
            effect = (Severity.NOTE, f"in the plan because: {reason[0]}", reason[1])
        if effect is not None:
            yield Line(effect[0], name, value, plan, *effect[1:])


def _prefix(sides: Sides) -> Iterator[Line]:
    theirs, ours = " ".join(sides.typed.plan.prefix), " ".join(sides.planned.plan.prefix)
    change = sides.profile.prefix.change
    if ("numactl" in theirs) == ("numactl" in ours):
        return
    reason = change.reason if change is not None else sides.profile.prefix.reason
    source = change.evidence if change is not None else sides.profile.prefix.source
    yield Line(Severity.NOTE, PREFIX, theirs or None, ours or None, reason, source)


def _container(sides: Sides) -> Iterator[Line]:
    container = sides.typed.container
    if container is None:
        return
    gpus = sides.typed.plan.gpus
    if gpus and not container.has_gpus:
        text = "the container sees no GPU: the start ends after a minute"
        yield _of_docker("--gpus", text, "sglang #4778", Severity.ERROR)
    if gpus > 1 and not container.shares_memory:
        text = "/dev/shm has 64 MB, too little for NCCL between GPUs: --shm-size 32g or --ipc=host"
        yield _of_docker("--shm-size", text, "sglang #5096, NVIDIA/nccl #290", Severity.ERROR)
    if "--rm" in container.options:
        text = "when the server ends, its log is deleted with the container, and so is the reason"
        yield Line(Severity.NOTE, "docker --rm", SET, None, text, "docker run --help")


def _of_docker(name: str, text: str, source: str, severity: Severity) -> Line:
    return Line(severity, f"docker {name}", None, None, text, source)


def _exposed(sides: Sides) -> Iterator[Line]:
    """Who can use the server, and who can read its key."""
    given, ours = _both(sides)
    if any(name in given for name in _KEYS):
        text = "every process list shows the key: ktserver passes it in a file"
        yield Line(Severity.WARNING, "--api-key", "(a key)", None, text, "ps(1)")
        return
    container, host = sides.typed.container, given.get("--host")
    text = "anyone who can reach the port can use the server: it has no key"
    source = "sglang has no key by default"
    if container is not None and container.is_open:
        yield Line(Severity.WARNING, "docker --publish", "all addresses", None, text, source)
    elif container is None and host and not _is_local(host) and "--config" not in given:
        yield Line(Severity.WARNING, "--host", host, ours.get("--host"), text, source)


def _is_local(host: str) -> bool:
    return addresses.is_here(host) and host not in ("0.0.0.0", "::")


@cache
def _effects() -> tuple[dict[str, str], ...]:
    return tuple(package_data.read(_TABLE)["effect"])
