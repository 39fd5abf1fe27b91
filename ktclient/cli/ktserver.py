"""The `ktserver` command. Its commands are in command_table.py."""

from __future__ import annotations

import click

from ktclient._version import __version__
from ktclient.cli import exit_codes
from ktclient.cli.help import Program


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=exit_codes.SERVER_TABLE,
)
@click.version_option(__version__, prog_name="ktserver")
def ktserver() -> None:
    """Start, watch and stop inference servers on this machine.

    The default is the embedded server: a small real model for machines without a GPU.
    """


def main() -> None:
    """The console script."""
    exit_codes.run(ktserver, "ktserver")
