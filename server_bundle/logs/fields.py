"""`name: value, name: value …` and `name=value, …` in any order, and the numbers in them."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?(?:e[+-]?\d{1,2})?(?![\w.])", re.ASCII)


def read(text: str, between: str = ": ") -> dict[str, str]:
    """Values by name, without the `#` of counts. Parts without a value are skipped; of two parts
    with the same name the first counts."""
    found: dict[str, str] = {}
    for part in text.split(","):
        name, is_there, value = part.partition(between)
        if is_there:
            found.setdefault(name.strip().lstrip("#"), value.strip())
    return found


def number(found: Mapping[str, str], *names: str) -> float | None:
    """The number of the first of these names that exists, without its unit; None for no number."""
    for name in names:
        if name in found:
            value = _NUMBER.match(found[name])
            return float(value[0]) if value else None
    return None


def count(found: Mapping[str, str], *names: str) -> int | None:
    """The same as a whole number; None also for a negative one."""
    value = number(found, *names)
    return None if value is None or value < 0 else int(value)
