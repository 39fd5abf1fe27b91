"""The SQL of the store: the statements by name, and the migrations in order."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

_HERE = Path(__file__).parent
MIGRATIONS = _HERE
"""The folder of the migrations. Tests replace it."""
_STATEMENTS = ("queries.sql", "http_queries.sql")
_MARK = "-- name: "
_NUMBERS = "numbers_of_group"
"""The columns that several statements have in common, where they say `$numbers_of_group`."""


@lru_cache(maxsize=1)
def queries() -> dict[str, str]:
    """Every named statement. Read once: an upgrade may remove the files."""
    files = (_HERE / name for name in _STATEMENTS)
    blocks = [
        block for file in files for block in file.read_text(encoding="utf-8").split(_MARK)[1:]
    ]
    found = {name: sql.strip() for name, _, sql in (block.partition("\n") for block in blocks)}
    shared = found.pop(_NUMBERS)
    return {name: sql.replace(f"${_NUMBERS}", shared) for name, sql in found.items()}


def migrations() -> list[tuple[str, str]]:
    """(name, script) of each migration, oldest first. Their count is the schema version."""
    files = sorted(MIGRATIONS.glob("[0-9]*.sql"))
    return [(file.stem, file.read_text(encoding="utf-8")) for file in files]
