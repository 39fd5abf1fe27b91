"""Parse JSON and TOML that others wrote: a user, another machine, a model's publisher.

Every value that comes back can be walked, shown and stored again: it is not nested deeply, and its
numbers are ordinary ones. Python's parsers alone would accept, or fail on, much else.
"""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path
from typing import Any

LEVELS = 100
"""How deeply objects and lists may be nested. Tables, tools and schemas have a dozen levels."""
_MOST_DIGITS = 4000
"""Of a whole number in JSON: Python cannot show longer ones (sys.set_int_max_str_digits)."""
_LARGEST = 2**63
"""TOML's whole numbers have 64 bits (toml.io/en/v1.0.0#integer)."""
_LONG_KEY = re.compile(
    r"""(?<![\w"'-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){%d}""" % LEVELS  # noqa: UP031
)
"""A key with so many dots takes tomllib a time that is quadratic in their number."""


class Unusable(ValueError):
    """The text cannot be used, although it may be valid. The message continues "it …"."""


def read_text(
    path: Path, most: int, *, pipes: bool = True, encoding: str = "utf-8", errors: str = "strict"
) -> str:
    """The text of a file with at most `most` bytes. Raises `OSError`, `UnicodeDecodeError` and
    `Unusable`. Without `pipes`, no pipe is opened, which might be waited for."""
    if not pipes and stat.S_ISFIFO(path.stat().st_mode):
        raise Unusable("it is a pipe, not a file")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise Unusable(f"it has more than {most:,} bytes")
    return content.decode(encoding, errors)


def of_json(
    text: str | bytes, *, levels: int = LEVELS, unique: bool = False, infinite: bool = False
) -> Any:
    """The value of a JSON text. Raises `json.JSONDecodeError` if it is none, `Unusable` if it is
    nested more deeply, has numbers that are no ordinary ones, or, if `unique`, one name twice. With
    `infinite`, it may have NaN and Infinity, as Python writes them into models' files."""
    import json

    try:
        found = json.loads(
            text,
            parse_int=whole,
            parse_float=float if infinite else _finite,
            parse_constant=float if infinite else _refuse,
            object_pairs_hook=_once if unique else None,
        )
    except RecursionError:
        raise _too_deep(levels) from None
    brackets = ("{", "[") if isinstance(text, str) else (b"{", b"[")
    if sum(map(text.count, brackets)) <= levels:  # type: ignore[arg-type]
        return found
    return _shallow(found, levels)


def of_toml(text: str) -> dict[str, Any]:
    """The content of a TOML text. Raises `ValueError` if it is none, `Unusable` if it is nested
    more deeply than `LEVELS`, or has whole numbers beyond 64 bits."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    if _LONG_KEY.search(text):
        raise _too_deep(LEVELS)
    try:
        found: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise _too_deep(LEVELS) from None
    except ValueError:  # Python's own limit for digits
        raise _too_long_a_number() from None
    _check_numbers(_shallow(found, LEVELS))
    return found


def _shallow(found: Any, levels: int) -> Any:
    level = [found]
    for _ in range(levels + 1):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return found
    raise _too_deep(levels)


def _inside(value: object) -> list[Any]:
    return (
        list(value.values())
        if isinstance(value, dict)
        else value
        if isinstance(value, list)
        else []
    )


def _check_numbers(value: object) -> None:
    for inner in _inside(value):
        if isinstance(inner, int) and not -_LARGEST <= inner < _LARGEST:
            raise _too_long_a_number()
        _check_numbers(inner)


def _too_deep(levels: int) -> Unusable:
    return Unusable(f"it is nested more than {levels} levels deep")


def _too_long_a_number() -> Unusable:
    return Unusable("it contains a number that is too large")


def whole(digits: str) -> int:
    """A whole number, for other decoders. Raises `Unusable`."""
    if len(digits) > _MOST_DIGITS:
        raise _too_long_a_number()
    return int(digits)


def _finite(digits: str) -> float:
    found = float(digits)
    if found in (float("inf"), float("-inf")):
        raise _too_long_a_number()
    return found


def _refuse(name: str) -> float:
    raise Unusable(f"{name} is not a JSON number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unusable("it contains a name twice")
    return found
