"""The file of a systemd user unit: read, write and remove it, and run or print what enables it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from jobs import draft, named_file, private_folder
from jobs.system import user_manager
from ktclient.cli.render import output, terminal_text
from ktclient.config import settings as config
from ktclient.errors import BadInput

Commands = Sequence[Sequence[str]]
"""The arguments of each call of `systemctl --user`."""
_AFTER_REMOVAL = (["daemon-reload"],)


def read(path: Path) -> str | None:
    """The text of a unit; None if there is none. Raises `BadInput`."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from None


def write(path: Path, text: str) -> None:
    """Replace the file atomically, because systemd may read it at any moment. Raises `BadInput`."""
    try:
        private_folder.make(path.parent)
        draft.write(named_file.followed(path), text, keeps=True)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror or error}") from None


def remove(path: Path, *, is_there: bool, is_dry: bool) -> None:
    """Remove the unit and the link that enables it, and say so. Raises `BadInput`."""
    link = path.parent / "default.target.wants" / path.name
    if is_dry:
        output.print_data(f"# removes {path}")
        print_commands(_AFTER_REMOVAL)
    elif not is_there and not link.is_symlink():
        output.print_data(f"{path} does not exist")
    else:
        try:
            link.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise BadInput(f"{path} cannot be removed: {error.strerror or error}") from None
        output.print_data(f"{path} removed")
        run(_AFTER_REMOVAL)


def print_commands(commands: Commands) -> None:
    """Print them for the user to run."""
    output.print_data("\n".join(f"systemctl --user {' '.join(words)}" for words in commands))


def run(commands: Commands) -> None:
    """Run them; from the first one that fails, print them for the user."""
    for number, words in enumerate(commands):
        problem = user_manager.systemctl(words, config.environment(), os.geteuid())
        if problem is not None:
            output.note(
                f"not done yet: {terminal_text.one_line(problem)}. Log in as yourself, then run:"
            )
            print_commands(commands[number:])
            return
