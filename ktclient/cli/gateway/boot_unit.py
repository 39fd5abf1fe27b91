"""`ktjob serve --install-unit` and `--remove-unit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs.system import systemd_unit
from jobs.system.logind import Logind
from ktclient.cli import exit_codes, unit_file
from ktclient.cli.render import output
from ktclient.config import settings as config
from ktclient.config.settings import Settings
from ktclient.errors import BadInput
from ktclient.gateway.service import boot_unit, start

_ENABLE = (["daemon-reload"], ["enable", "--now", boot_unit.NAME])


def install(settings: Settings, options: Mapping[str, Any], words: Sequence[str]) -> int:
    """Write the unit, and say how to enable it. Raises `BadInput`."""
    if options["port"] == 0:
        raise BadInput("--port 0: a unit needs a port of its own, which its clients know")
    path = _path()
    old = unit_file.read(path)
    if old is not None and not boot_unit.is_ours(old):
        raise BadInput(f"{path} was not written by ktjob: look at it, then move it away")
    environment, withheld = systemd_unit.split_environment(config.environment())
    root = str(settings.state.root)
    argv = start.foreground_argv(settings.state, options["port"], words)
    text = boot_unit.render(argv, {**environment, **start.folders(settings)}, root)
    if options["dry_run"]:
        output.print_data(f"# {path}\n{text}")
    else:
        settings.state.create()
        unit_file.write(path, text)
        output.print_data(f"{path} {'written' if old != text else 'is up to date'}")
    output.note("to start it now and at each boot:")
    unit_file.print_commands(_ENABLE)
    _explain(withheld)
    return exit_codes.SUCCEEDED


def remove(*, is_dry: bool) -> int:
    """Remove the unit. A gateway that runs goes on until it is stopped. Raises `BadInput`."""
    path = _path()
    old = unit_file.read(path)
    if old is not None and not boot_unit.is_ours(old):
        raise BadInput(f"{path} was not written by ktjob: look at it, then remove it yourself")
    unit_file.remove(path, is_there=old is not None, is_dry=is_dry)
    return exit_codes.SUCCEEDED


def _path() -> Path:
    return config.user_units() / boot_unit.NAME


def _explain(withheld: list[str]) -> None:
    for name in withheld:
        output.note(
            f"note: {name} holds a secret and is not written: put it into a file that "
            "server.api_key_file in config.toml names"
        )
    logind = Logind()
    if not logind.lingers():
        output.note(
            "note: lingering is off, so it starts at your first login and not at boot, and ends "
            f"with your last session. To change that: loginctl enable-linger {logind.user}"
        )
