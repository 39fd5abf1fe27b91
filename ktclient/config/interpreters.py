"""`[interpreters]` of the configuration file: which Python runs which engine."""

from __future__ import annotations

from pathlib import Path

from ktclient.config import file as config_file
from ktclient.config.file import Table

TABLE = "interpreters"
ENGINES = ("sglang-kt", "sglang")


def check(table: Table, file: Path) -> None:
    """Raises `BadSetting` for an engine that is not known, and a value that is no text."""
    config_file.check_keys(table, set(ENGINES), TABLE, file)
    for engine in table:
        config_file.text(table, engine, TABLE, file)
