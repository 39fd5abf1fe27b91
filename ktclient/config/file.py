"""Read and parse the configuration file into its tables, and report errors in it.

The contents of a table belong to the module that uses it: `[server]` to servers.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jobs import parsing
from ktclient.errors import BadSetting

Table = Mapping[str, object]

TABLES = ("server", "servers", "defaults", "notify", "hosts", "interpreters")
"""All allowed top-level tables."""
MOST_BYTES = 1_000_000
"""Of the file. A hundred servers take 20,000."""


def read(path: Path, needed: Sequence[str] = TABLES) -> dict[str, Table]:
    """The file's tables; missing ones are empty. Raises `BadSetting`; of the tables only for the
    `needed` ones."""
    return parse(content(path), path, needed)


def content(path: Path) -> str:
    """The file's text; empty if there is no file. Raises `BadSetting`."""
    try:
        return parsing.read_text(path, MOST_BYTES, pipes=False)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:
        from ktclient import wording

        raise BadSetting(f"{path} cannot be read: {wording.reason(error)}") from None


def parse(text: str, path: Path, needed: Sequence[str] = TABLES) -> dict[str, Table]:
    """The tables of a text that is, or will be, in that file. Raises `BadSetting`, as `read`."""
    if not text:
        return {name: {} for name in TABLES}
    try:
        found = parsing.of_toml(text)
    except ValueError as error:
        raise BadSetting(f"{path} cannot be read: {error}") from error
    for name, table in found.items():
        if name not in TABLES and needed == TABLES:
            raise unknown(name, [f"[{table}]" for table in TABLES], path)
        if name in needed and not isinstance(table, dict):
            raise BadSetting(f"{path}: [{name}] must be a table")
    return {name: found.get(name, {}) if name in needed else {} for name in TABLES}


def unknown(name: str, known: Iterable[str], path: Path) -> BadSetting:
    """The error for an unknown setting, with the `known` ones of its table."""
    return BadSetting(f"{path}: unknown setting {name!r}; allowed here: {', '.join(known)}")


def check_keys(table: Table, known: set[str], where: str, path: Path) -> None:
    """Raises `BadSetting` for an unknown key; `where` is the table's name."""
    for key in table:
        if key not in known:
            raise unknown(f"{where}.{key}", sorted(known), path)


def text(table: Table, key: str, where: str, path: Path) -> str | None:
    """A string value of the table; None if it is missing. Raises `BadSetting`."""
    value = table.get(key)
    if value is None or isinstance(value, str):
        return value
    raise BadSetting(f"{path}: {where}.{key} must be text, not {value!r}")
