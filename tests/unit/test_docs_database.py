"""docs/database.md has every table and column that there is, and no other."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from jobs.store.files.opening import SCHEMA_VERSION
from jobs.store.state_dir import StateDir
from jobs.store.store import Store

PAGE = (Path(__file__).parents[2] / "docs/database.md").read_text()


def test_every_column_is_on_the_page_and_no_other(state: StateDir) -> None:
    """By a database that was just made."""
    Store.open(state).close()
    with closing(sqlite3.connect(state.database)) as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        tables = {str(name) for (name,) in connection.execute(query)}
        there = {
            table: {str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")}
            for table in tables - {"_sqlite_migrations"}
        }
    lines = re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", PAGE, re.M)
    told = {name: set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", row))) for name, row in lines}
    assert told == there


def test_the_page_names_the_schema_of_today() -> None:
    """Whoever raises it reads the page again."""
    assert f"now {SCHEMA_VERSION})" in PAGE
