"""One result of a check of this machine, with the fix."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(str, Enum):
    """How bad it is: `FAIL` loses jobs or keeps them from running, `WARN` may."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One result of a check. `cure` is None if there is nothing to do."""

    severity: Severity
    about: str
    found: str
    cure: str | None = None


def ok(about: str, found: str) -> Finding:
    return Finding(Severity.OK, about, found)


def warn(about: str, found: str, cure: str) -> Finding:
    return Finding(Severity.WARN, about, found, cure)


def fail(about: str, found: str, cure: str) -> Finding:
    return Finding(Severity.FAIL, about, found, cure)
