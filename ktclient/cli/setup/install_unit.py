"""`ktjob install-unit`: start the runner at boot with systemd."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from jobs import draft, named_file, private_folder
from jobs.runner import start
from jobs.system import systemd_unit, user_manager
from jobs.system.logind import Logind
from ktclient.cli import command_settings, exit_codes
from ktclient.cli.render import output, terminal_text
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
    old = _read(path)
    if old is not None and not systemd_unit.is_ours(old) and not force:
        raise BadInput(f"{path} was not written by ktjob: look at it, then add --force")
    if remove:
        return _remove(path, dry_run, is_there=old is not None)
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
        _print_commands(_ENABLE)
    else:
        settings.state.create()
        _write(path, text)
        output.print_data(f"{path} {'written' if old != text else 'is up to date'}")
        _run(_ENABLE)
    _explain(old, root, withheld)
    return exit_codes.SUCCEEDED


def _remove(path: Path, dry_run: bool, *, is_there: bool) -> int:
    link = path.parent / "default.target.wants" / systemd_unit.NAME
    if dry_run:
        output.print_data(f"# removes {path}")
        _print_commands(_DISABLE)
    elif not is_there and not link.is_symlink():
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


_ENABLE = (["daemon-reload"], ["enable", systemd_unit.NAME])
_DISABLE = (["daemon-reload"],)


def _print_commands(commands: tuple[list[str], ...]) -> None:
    output.print_data("\n".join(f"systemctl --user {' '.join(words)}" for words in commands))


def _run(commands: tuple[list[str], ...]) -> None:
    """Run the systemctl commands; from the first one that fails, print them for the user."""
    for number, words in enumerate(commands):
        problem = user_manager.systemctl(words, config.environment(), os.geteuid())
        if problem is not None:
            output.note(
                f"not done yet: {terminal_text.one_line(problem)}. Log in as yourself, then run:"
            )
            _print_commands(commands[number:])
            return


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
