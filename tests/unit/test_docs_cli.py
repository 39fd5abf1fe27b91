"""docs/cli.md is what its script writes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "docs/make_cli.py"


def test_the_page_is_what_the_commands_say_today() -> None:
    """Else: python docs/make_cli.py."""
    spec = importlib.util.spec_from_file_location("make_cli", SCRIPT)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.PAGE.read_text(encoding="utf-8") == script.page() + "\n", "run docs/make_cli.py"
