"""The configuration file: read, its tables told apart, and what is wrong with it in words.

What a table holds is the business of whoever uses it: `[server]` of servers.py.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from ktclient.errors import BadSetting

Table = Mapping[str, object]

TABLES = ("server", "servers", "defaults", "notify", "hosts")
"""All that there may be, each a table."""


def read(path: Path) -> dict[str, Table]:
    """Its tables, those that are not there empty. Raises `BadSetting`."""
    try:
        if not path.exists():
            return parse("", path)
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadSetting(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise BadSetting(f"{path} cannot be read: {error}") from error
    return parse(text, path)


def parse(text: str, path: Path) -> dict[str, Table]:
    """The same of a text that is, or is to be, in that file. Raises `BadSetting`."""
    if not text:
        return {name: {} for name in TABLES}
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        content = tomllib.loads(text)
    except ValueError as error:
        raise BadSetting(f"{path} cannot be read: {error}") from error
    for name, table in content.items():
        if name not in TABLES:
            raise unknown(name, path)
        if not isinstance(table, dict):
            raise BadSetting(f"{path}: [{name}] is a table")
    return {name: content.get(name, {}) for name in TABLES}


def unknown(name: str, path: Path) -> BadSetting:
    """The error about a name that means nothing here."""
    return BadSetting(f"{path}: unknown setting {name!r}; docs/reference.md has them all")


def check_keys(table: Table, known: set[str], where: str, path: Path) -> None:
    """Raises `BadSetting` for a key that is not known; `where` is the table's name."""
    for key in table:
        if key not in known:
            raise unknown(f"{where}.{key}", path)


def text(table: Table, key: str, where: str, path: Path) -> str | None:
    """A text of the table; None where it is not there. Raises `BadSetting`."""
    value = table.get(key)
    if value is None or isinstance(value, str):
        return value
    raise BadSetting(f"{path}: {where}.{key} must be text, not {value!r}")
