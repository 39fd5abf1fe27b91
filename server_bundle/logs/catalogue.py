"""The catalogue of known failures: catalogue.toml, read and checked."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from server_bundle.logs.stages import STAGES

Sign = tuple[re.Pattern[str], ...]
"""Patterns that must match lines in this order."""
_YIELDS = ("", "causes", "exceptions")


@dataclass(frozen=True)
class Cause:
    """One known failure. catalogue.toml explains the fields."""

    id: str
    title: str
    stage: str
    signs: tuple[Sign, ...]
    cause: str
    cure: str
    source: str
    versions: str
    when: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    yields: str = ""
    exits: tuple[int, ...] = ()
    is_fatal: bool = True

    @property
    def is_aftermath(self) -> bool:
        """Whether it only says that a failure happened, not what it was."""
        return self.yields == "exceptions"


@cache
def causes() -> tuple[Cause, ...]:
    """All known causes, in the order of the file. Raises ValueError for an invalid file."""
    text = (
        resources.files("server_bundle.logs").joinpath("catalogue.toml").read_text(encoding="utf-8")
    )
    found = tuple(_cause(table) for table in _parse(text)["cause"])
    known = {cause.id for cause in found}
    if len(known) < len(found):
        raise ValueError("catalogue.toml: two causes have the same id")
    for cause in found:
        if not set(cause.replaces) <= known:
            raise ValueError(f"catalogue.toml: {cause.id}: replaces an unknown id")
    return found


def _parse(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    content: dict[str, Any] = tomllib.loads(text)
    return content


def _cause(table: Mapping[str, Any]) -> Cause:
    signs = tuple(_sign(sign) for sign in table["signs"])
    lists = {name: tuple(table.get(name, ())) for name in ("when", "replaces", "exits")}
    cause = Cause(**{**table, **lists, "signs": signs})
    if not {cause.stage, *cause.when} <= set(STAGES) or cause.yields not in _YIELDS:
        raise ValueError(f"catalogue.toml: {cause.id}: unknown stage, or unknown value of yields")
    return cause


def _sign(sign: str | list[str]) -> Sign:
    patterns = [sign] if isinstance(sign, str) else sign
    return tuple(re.compile(pattern) for pattern in patterns)
