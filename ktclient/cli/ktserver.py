"""The `ktserver` command."""

from __future__ import annotations

import click

import ktclient
from ktclient.cli import (
    completing,
    examples,
    exits,
    server_doctor,
    server_down,
    server_explain,
    server_life,
    server_look,
    server_plan,
    server_profiles,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=exits.TABLE)
@click.version_option(ktclient.__version__, prog_name="ktserver")
def ktserver() -> None:
    """Start, watch and stop inference servers on this machine.

    Without a profile that is the embedded one: a small real model for machines without a GPU.
    """


for _command in (
    server_life.up,
    server_look.status,
    server_look.logs,
    server_life.restart,
    server_down.down,
    server_doctor.doctor,
    server_explain.explain,
    server_plan.plan,
    server_profiles.profiles,
    completing.completion,
):
    ktserver.add_command(_command)
completing.attach(ktserver)
examples.attach(ktserver, "ktserver")


def main() -> None:
    """The console script."""
    exits.run(ktserver, "ktserver")
