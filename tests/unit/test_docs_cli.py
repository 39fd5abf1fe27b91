"""docs/cli.md is what its script writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "docs/make_cli.py"


def test_the_page_is_what_the_commands_say_today() -> None:
    """Else: python docs/make_cli.py. In a process of its own, as click remembers the first context
    in which a command was asked for its help."""
    done = subprocess.run([sys.executable, str(SCRIPT), "-"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = SCRIPT.with_name("cli.md").read_text(encoding="utf-8")
    assert page == done.stdout, "run docs/make_cli.py"
