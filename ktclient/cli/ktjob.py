"""The `ktjob` command. Its commands are in command_table.py."""

from __future__ import annotations

import click

from ktclient._version import __version__
from ktclient.cli import exit_codes
from ktclient.cli.help import Program
from ktclient.cli.suggestions import ALIASES

_ALIASES = {"serve-remote": "at-your-service"}
"""New name -> the name by which versions of ktjob call each other, which stays."""
HERE = ("completion", *_ALIASES, *_ALIASES.values())
"""Commands that always run on this machine."""


class Ktjob(Program):
    """The command group; with --host its commands run on another machine."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name or alias."""
        return super().get_command(ctx, _own(cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command's own name, the command, and the other arguments."""
        name, command, rest = super().resolve_command(ctx, args)
        return None if name is None else _own(name), command, rest

    def invoke(self, context: click.Context) -> object:
        from ktclient.config import settings as config

        host = context.params["host"]
        if host is None:
            host = config.default_host()
        words = [*context._protected_args, *context.args]
        if not host or not words or words[0] in HERE:
            return super().invoke(context)
        from ktclient.cli.remote import host as remote_host

        return remote_host.run(self, context, host, words)


def _own(name: str) -> str:
    """The command's name in the table."""
    return {**_ALIASES, **ALIASES}.get(name, name)


@click.group(
    cls=Ktjob,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=exit_codes.TABLE,
)
@click.option(
    "--host",
    metavar="NAME",
    help="Run the command on that machine, through your own ssh; all: on each configured one.",
)
@click.version_option(__version__, prog_name="ktjob")
def ktjob(host: str | None) -> None:
    """Long requests to self-hosted LLMs that never get lost.

    \b
    ktjob submit report.txt --summarize --wait
    ktjob submit book.txt --ask "Who dies?"     returns at once; then log out
    ktjob status                                running, queued and recent jobs
    """


def main() -> None:
    """The console script."""
    exit_codes.run(ktjob, "ktjob")
