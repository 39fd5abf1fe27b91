"""The `ktserver` command."""

from __future__ import annotations

import click

from ktclient._version import __version__
from ktclient.cli import examples, exit_codes
from ktclient.cli.server import doctor, down, explain, logs, plan, profiles, restart, status, up
from ktclient.cli.setup import completion


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=exit_codes.TABLE)
@click.version_option(__version__, prog_name="ktserver")
def ktserver() -> None:
    """Start, watch and stop inference servers on this machine.

    Without a profile that is the embedded one: a small real model for machines without a GPU.
    """


for _command in (
    up.up,
    status.status,
    logs.logs,
    restart.restart,
    down.down,
    doctor.doctor,
    explain.explain,
    plan.plan,
    profiles.profiles,
    completion.completion,
):
    ktserver.add_command(_command)
completion.attach(ktserver)
examples.attach(ktserver, "ktserver")


def main() -> None:
    """The console script."""
    exit_codes.run(ktserver, "ktserver")
