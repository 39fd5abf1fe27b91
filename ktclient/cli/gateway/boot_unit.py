"""`ktjob serve --install-unit` and `--remove-unit`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs import draft, named_file, private_folder
from jobs.system import systemd_unit, user_manager
from jobs.system.logind import Logind
from ktclient.cli import exit_codes
from ktclient.cli.render import output, terminal_text
from ktclient.config import settings as config
from ktclient.config.settings import Settings
from ktclient.errors import BadInput
from ktclient.gateway.service import boot_unit, start

_ENABLE = (["daemon-reload"], ["enable", "--now", boot_unit.NAME])
_DISABLE = (["daemon-reload"],)


def install(settings: Settings, options: Mapping[str, Any], words: Sequence[str]) -> int:
    """Write the unit, and say how to enable it. Raises `BadInput`."""
    if options["port"] == 0:
        raise BadInput("--port 0: a unit needs a port of its own, which its clients know")
    path = _path()
    old = _read(path)
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
        _write(path, text)
        output.print_data(f"{path} {'written' if old != text else 'is up to date'}")
    output.note("to start it now and at each boot:")
    _print_commands(_ENABLE)
    _explain(withheld)
    return exit_codes.SUCCEEDED


def remove(*, is_dry: bool) -> int:
    """Remove the unit. A gateway that runs goes on until it is stopped. Raises `BadInput`."""
    path = _path()
    old = _read(path)
    if old is not None and not boot_unit.is_ours(old):
        raise BadInput(f"{path} was not written by ktjob: look at it, then remove it yourself")
    link = path.parent / "default.target.wants" / boot_unit.NAME
    if is_dry:
        output.print_data(f"# removes {path}")
        _print_commands(_DISABLE)
    elif old is None and not link.is_symlink():
        output.print_data(f"{path} does not exist")
    else:
        try:
            link.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise BadInput(f"{path} cannot be removed: {error.strerror or error}") from None
        output.print_data(f"{path} removed")
        _run(_DISABLE)
    return exit_codes.SUCCEEDED


def _path() -> Path:
    return config.user_units() / boot_unit.NAME


def _print_commands(commands: tuple[list[str], ...]) -> None:
    output.print_data("\n".join(f"systemctl --user {' '.join(words)}" for words in commands))


def _run(commands: tuple[list[str], ...]) -> None:
    for number, words in enumerate(commands):
        problem = user_manager.systemctl(words, config.environment(), os.geteuid())
        if problem is not None:
            output.note(
                f"not done yet: {terminal_text.one_line(problem)}. Log in as yourself, then run:"
            )
            _print_commands(commands[number:])
            return


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


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from None


def _write(path: Path, text: str) -> None:
    """Replace the file atomically, because systemd may read it at any moment. Raises `BadInput`."""
    try:
        private_folder.make(path.parent)
        draft.write(named_file.followed(path), text, keeps=True)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror or error}") from None
