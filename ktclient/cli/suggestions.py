"""What an unknown command or option may have meant: only what is near, else nothing.

click's own guess takes `--question` for `--json`: it compares the dashes too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import click

ALIASES = {"ls": "list", "ps": "status", "log": "logs", "kill": "cancel", "run": "submit"}
"""Commands of other programs that ktjob understands, and does not list."""
_COMMANDS = {
    "add": "submit",
    "clean": "gc",
    "delete": "rm",
    "get": "result",
    "history": "list",
    "info": "show",
    "output": "result",
    "queue": "status",
    "remove": "rm",
    "stop": "cancel",
    "tail": "follow",
    "watch": "follow",
}
"""Words of pueue, task-spooler, Slurm and llm -> ours."""
_OPTIONS = {
    "--question": "--ask",
    "--query": "--ask",
    "--name": "--label",
    "--tag": "--label",
    "--out": "--output",
    "--url": "--server",
    "--base-url": "--server",
    "--time-limit": "--timeout",
    "--follow": "--watch",
    "--tokens": "--max-tokens",
}
_NEAR = 0.75
"""Of difflib's ratio: one wrong, missing or swapped letter of four, more in longer words."""


def narrow(error: click.ClickException, aliases: Mapping[str, str] = ALIASES) -> None:
    """Leave of click's guesses only what is near, or name the word that we have for it."""
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        known = [name for param in error.ctx.command.params for name in param.opts]
        known = [name for name in known if name.startswith("--")]
        _set(error, _meant(error.option_name, known, _OPTIONS))
    elif isinstance(error, click.exceptions.NoSuchCommand) and error.ctx is not None:
        group = error.ctx.command
        known = group.list_commands(error.ctx) if isinstance(group, click.Group) else []
        _set(error, _meant(error.command_name, known, {**aliases, **_COMMANDS}))


def _meant(typed: str, known: Iterable[str], words: Mapping[str, str]) -> list[str]:
    import difflib

    names = {name.lstrip("-"): name for name in known}
    meant = words.get(typed)
    if meant is not None and meant in names.values():
        return [meant]
    given = typed.lstrip("-").replace("_", "-").lower()
    return [names[name] for name in difflib.get_close_matches(given, names, 2, _NEAR)]


def _set(error: click.NoSuchOption | click.exceptions.NoSuchCommand, found: list[str]) -> None:
    error.possibilities = found  # type: ignore[misc]
