"""`ktjob schema`: what `--json` prints, for programs."""

from __future__ import annotations

from pathlib import Path

import click

from ktclient.cli.render import output
from ktclient.records import output_schema

_FILE = Path(output_schema.__file__).with_name("schema.json")


@click.command()
def schema() -> None:
    """Print the JSON Schema of all that --json prints."""
    output.print_data(_FILE.read_text(encoding="utf-8").rstrip("\n"))
