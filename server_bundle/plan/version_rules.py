"""Requirements and rules for each version of each server, from `version_rules.toml`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from server_bundle import package_data

DROP, FLOOR, WARN, NOTE = "drop", "floor", "warn", "note"
FAIL = "fail"
_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)(.*)")


@dataclass(frozen=True)
class Requirement:
    """A package that must be installed with the engine, in the server's interpreter."""

    package: str
    spec: str
    """Comparisons that must all hold: `>=0.6.9`, `>=2.9.1,<2.10`."""
    severity: str
    """`fail`: the server will not run. `warn`: it may."""
    reason: str
    source: str

    def allows(self, version: str) -> bool:
        """Whether this version of the package is acceptable."""
        return satisfies(version, self.spec)


@dataclass(frozen=True)
class Rule:
    """A rule that every launch must follow."""

    id: str
    action: str
    """`drop` or `floor` (change the flag), `warn` (about the flag), `note` (about the version)."""
    flag: str | None
    value: int | None
    """The minimum, for `floor`."""
    reason: str
    source: str


def required_packages(
    engine: str, version: str | None, family: str | None = None
) -> tuple[Requirement, ...]:
    """The packages that a version (None: unknown) of `sglang-kt` or `sglang` needs.

    With a model family (`Profile.family`) only those that it needs, without one all.
    """
    return tuple(
        Requirement(one["name"], one["spec"], one["severity"], one["reason"], one["source"])
        for one in _tables()["package"]
        if _concerns(one, engine, version)
        and (family is None or family in one.get("families", [family]))
    )


def rules(engine: str, version: str | None, family: str) -> tuple[Rule, ...]:
    """The rules for this version and model family. For an unknown version (None) all that may
    apply."""
    return tuple(
        Rule(
            id=one["id"],
            action=one["action"],
            flag=one.get("flag"),
            value=one.get("value"),
            reason=one["reason"],
            source=one["source"],
        )
        for one in _tables()["rule"]
        if _concerns(one, engine, version) and family in one.get("families", [family])
    )


def holds(rule: str, engine: str, version: str | None, family: str) -> bool:
    """Whether the rule with this id applies."""
    return any(one.id == rule for one in rules(engine, version, family))


def satisfies(version: str, spec: str) -> bool:
    """Whether a version passes all comparisons. Raises `ValueError` for an invalid comparison."""
    return all(_passes(version, part.strip()) for part in spec.split(","))


def is_version(text: str) -> bool:
    """Whether `order` can read it."""
    return _VERSION.match(text.strip()) is not None


def order(version: str) -> tuple[int, ...]:
    """A version as numbers that compare: release, then rc before and post after it (PEP 440)."""
    found = _VERSION.match(version.strip())
    if found is None:
        raise ValueError(f"{version!r} is not a version number")
    release = [int(part) for part in found[1].split(".")][:6]
    rest = found[2].partition("+")[0]  # +cu128 is a build, not a version
    post = re.search(r"post(\d+)", rest)
    early = re.search(r"(?:\d|^|\.|-|_)(?:a|b|rc|alpha|beta|dev)\.?(\d+)", rest)
    last = int(post[1]) if post else int(early[1]) - 10**6 if early else 0
    return (*release, *[0] * (6 - len(release)), last)


def _passes(version: str, comparison: str) -> bool:
    found = re.fullmatch(r"(>=|<=|==|<|>)\s*(\S+)", comparison)
    if found is None:
        raise ValueError(f"{comparison!r} is not a version comparison such as >=1.2")
    ours, theirs = order(version), order(found[2])
    return {
        ">=": ours >= theirs,
        "<=": ours <= theirs,
        "==": ours == theirs,
        "<": ours < theirs,
        ">": ours > theirs,
    }[found[1]]


def _concerns(one: dict[str, Any], engine: str, version: str | None) -> bool:
    if one["engine"] not in (engine, "*"):
        return False
    if version is None:
        return True
    now = order(version)
    return not ("since" in one and now < order(one["since"])) and not (
        "before" in one and now >= order(one["before"])
    )


@cache
def _tables() -> dict[str, list[dict[str, Any]]]:
    return package_data.read(package_data.PLAN / "version_rules.toml")
