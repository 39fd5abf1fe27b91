"""The result of one check before a server starts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(str, Enum):
    """How bad a finding is. `ERROR`: the server will not start or not answer. `WARNING`: it is slow
    or may fail later. `NOTE`: useful to know."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """What was found, why it matters, the source of that knowledge, and the fix (`cure`). The last
    three are empty where there is nothing to do."""

    severity: Severity
    about: str
    found: str
    reason: str = ""
    source: str = ""
    cure: str = ""


def ok(about: str, found: str) -> Finding:
    return Finding(Severity.OK, about, found)


def note(about: str, found: str, reason: str, source: str, cure: str = "") -> Finding:
    return Finding(Severity.NOTE, about, found, reason, source, cure)


def warning(about: str, found: str, reason: str, source: str, cure: str) -> Finding:
    return Finding(Severity.WARNING, about, found, reason, source, cure)


def error(about: str, found: str, reason: str, source: str, cure: str) -> Finding:
    return Finding(Severity.ERROR, about, found, reason, source, cure)
