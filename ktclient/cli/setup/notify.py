"""`ktjob notify`."""

from __future__ import annotations

import click

from ktclient.cli import command_settings, exit_codes
from ktclient.cli.render import output


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def notify(names: tuple[str, ...]) -> int:
    """Send a test notification to each NAME of [notify] in the configuration file.

    \b
    ktjob notify phone
    """
    from jobs.errors import NotTold
    from ktclient.notify import channels

    settings = command_settings.load()
    channels.require(names, settings)
    if channels.is_open_to_others(settings):
        output.note(
            f"WARNING: others on this machine can read {settings.config_file}, which holds "
            f"addresses. Fix: chmod 600 {settings.config_file}"
        )
    code = exit_codes.SUCCEEDED
    for name in names:
        try:
            channels.notify(name, "ktjob: a test", "This is a test notification.", settings)
            output.print_data(f"{name}: sent")
        except NotTold as error:
            output.note(f"{error}")
            code = exit_codes.FAILED
    return code
