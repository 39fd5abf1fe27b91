"""`ktjob install-unit`: start the runner at boot with systemd."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from jobs.runner import start
from jobs.system import systemd_unit
from jobs.system.logind import Logind
from ktclient.cli import command_settings, exit_codes, unit_file
from ktclient.cli.render import output
from ktclient.config import settings as config
from ktclient.errors import BadInput
from ktclient.records import access


@click.command("install-unit")
@click.option("--dry-run", is_flag=True, help="Only show what would be written and run.")
@click.option("--remove", is_flag=True, help="Remove the unit.")
@click.option("--force", is_flag=True, help="Overwrite or remove a file that ktjob did not write.")
def install_unit(dry_run: bool, remove: bool, force: bool) -> int:
    """Start the runner at boot with systemd, so that queued jobs continue after a reboot.

    Writes the systemd user unit ktjob.service and enables it. Without it, jobs continue with your
    next ktjob command. Stopping or removing the unit does not affect running requests.
    """
    path = config.user_units() / systemd_unit.NAME
    old = unit_file.read(path)
    if old is not None and not systemd_unit.is_ours(old) and not force:
        raise BadInput(f"{path} was not written by ktjob: look at it, then add --force")
    if remove:
        unit_file.remove(path, is_there=old is not None, is_dry=dry_run)
        return exit_codes.SUCCEEDED
    return _install(path, old, dry_run)


def _install(path: Path, old: str | None, dry_run: bool) -> int:
    settings = command_settings.load()
    environment, withheld = systemd_unit.split_environment(config.environment())
    root = str(settings.state.root)
    # KTJOB_HOME and the like may be relative, or come from XDG variables: write absolute paths.
    folders = {
        "KTJOB_HOME": root,
        "KTJOB_CACHE": str(settings.cache),
        "KTJOB_CONFIG": str(settings.config_file.parent),
    }
    argv = start.foreground_argv(settings.state, access.WORK_ENTRY)
    variables = {**environment, **folders, **start.RUNNER_ENVIRONMENT}
    text = systemd_unit.render(systemd_unit.BootUnit(sys.executable, root, argv, variables))
    if dry_run:
        output.print_data(f"# {path}\n{text}")
        unit_file.print_commands(_ENABLE)
    else:
        settings.state.create()
        unit_file.write(path, text)
        output.print_data(f"{path} {'written' if old != text else 'is up to date'}")
        unit_file.run(_ENABLE)
    _explain(old, root, withheld)
    return exit_codes.SUCCEEDED


_ENABLE = (["daemon-reload"], ["enable", systemd_unit.NAME])


def _explain(old: str | None, root: str, withheld: list[str]) -> None:
    before = systemd_unit.served(old or "")
    if before is not None and before.state != root:
        output.note(f"note: it used the state directory {before.state} before")
    for name in withheld:
        cure = "put it into a file that server.api_key_file in config.toml names"
        if name != "KTJOB_API_KEY":
            cure = "a runner started at boot runs without it"
        output.note(f"note: {name} holds a secret and is not written: {cure}")
    logind = Logind()
    if not logind.lingers():
        output.note(
            "note: lingering is off, so it starts at your first login and not at boot. "
            f"To change that: loginctl enable-linger {logind.user}"
        )
