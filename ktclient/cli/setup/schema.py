"""`ktjob schema`: what `--json` prints, for programs."""

from __future__ import annotations

from pathlib import Path

import click

import ktclient
from ktclient.cli.render import output

_FILE = Path(ktclient.__file__).with_name("records") / "schema.json"


@click.command()
def schema() -> None:
    """Print the JSON Schema of all that --json prints."""
    output.print_data(_FILE.read_text(encoding="utf-8").rstrip("\n"))
