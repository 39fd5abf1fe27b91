"""The package's own data, in TOML."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

PLAN = Path(__file__).parent / "plan"
"""The folder of profiles, flags and version rules."""


def read(path: Path) -> dict[str, Any]:
    """Read one of the package's files. An invalid file is a bug, so its error is not caught."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    return content
