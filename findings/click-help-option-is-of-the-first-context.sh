#!/usr/bin/env bash
# Tool: click 8.5.1
# Surprise: a command object keeps the help option that was made for the first context that needed
#   one, with the `help_option_names` of that context. If the same object is in two groups, or is
#   invoked in one process by tests and by a script that writes help pages, the first use decides
#   for all later ones: a group that sets ["-h", "--help"] refuses -h, or a group that does not
#   accepts and lists it. The result depends on the order of calls, so a test may pass alone and
#   fail beside others.
# Seen: after `plain work --help`, `short work -h` exits 2 with "No such option '-h'". In the other
#   order it exits 0, and `plain work --help` lists "-h, --help".
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-cache-dir --no-compile --disable-pip-version-check \
  click==8.5.1

"$folder/venv/bin/python" - <<'PYTHON'
import sys

import click
from click.testing import CliRunner


def asked(first: str) -> tuple[int, bool]:
    """The exit code of `short work -h`, and whether `plain work --help` shows -h."""

    @click.command()
    def work() -> None:
        """Work."""

    groups = {
        "plain": click.Group("plain", {"work": work}),
        "short": click.Group(
            "short", {"work": work}, context_settings={"help_option_names": ["-h", "--help"]}
        ),
    }
    runner = CliRunner()
    runner.invoke(groups[first], ["work", "--help"])
    short = runner.invoke(groups["short"], ["work", "-h"])
    plain = runner.invoke(groups["plain"], ["work", "--help"])
    print(f"first asked in {first!r}: short work -h exits {short.exit_code}")
    print(f"  its last line: {short.output.strip().splitlines()[-1].strip()}")
    print(f"  plain work --help: {plain.output.strip().splitlines()[-1].strip()}")
    return short.exit_code, "-h, --help" in plain.output


seen = {first: asked(first) for first in ("plain", "short")}
if seen != {"plain": (2, False), "short": (0, True)}:
    sys.exit(f"changed: the order of calls no longer decides, or decides otherwise: {seen}")
PYTHON
