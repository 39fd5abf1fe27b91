"""`ktjob notify`."""

from __future__ import annotations

import click

from ktclient.cli import exits, screen


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def notify(names: tuple[str, ...]) -> int:
    """Send a test notification to each NAME of [notify] in the configuration file.

    \b
    ktjob notify phone
    """
    from ktclient import config, notifying
    from ktclient.errors import NotTold

    settings = config.load()
    notifying.require(names, settings)
    if notifying.is_open_to_others(settings):
        screen.say(
            f"WARNING: others on this machine can read {settings.config_file}, which holds "
            f"addresses. Fix: chmod 600 {settings.config_file}"
        )
    code = exits.SUCCEEDED
    for name in names:
        try:
            notifying.notify(name, "ktjob: a test", "This is a test notification.", settings)
            screen.put(f"{name}: sent")
        except NotTold as error:
            screen.say(f"{error}")
            code = exits.FAILED
    return code
