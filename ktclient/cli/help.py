"""The groups of commands of both programs: listed from the table, imported when they are called."""

from __future__ import annotations

import copy
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING

import click

from ktclient.cli.command_table import HIDDEN, PROGRAMS, Entry

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Commands(MutableMapping[str, click.Command]):
    """The commands of a program by name, each imported when it is first asked for."""

    def __init__(self, program: str) -> None:
        self._table = PROGRAMS[program]
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            self._loaded[name] = _load(self._table[name])
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        raise TypeError(f"{name}: commands are added to the table in ktclient/cli/command_table.py")

    def __delitem__(self, name: str) -> None:
        raise TypeError(
            f"{name}: commands are removed from the table in ktclient/cli/command_table.py"
        )

    def __contains__(self, name: object) -> bool:
        return name in self._table

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


class Program(click.Group):
    """The group of one program's commands: listed from the table, imported when they are called."""

    def __init__(self, name: str, **attributes: object) -> None:
        super().__init__(name, Commands(name), **attributes)  # type: ignore[arg-type]
        self._table = PROGRAMS[name]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if ctx.resilient_parsing and command is not None:  # so click completes
            from ktclient.cli.setup import completion_candidates

            completion_candidates.attach(command, str(self.name))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in self._table.items():
            sections.setdefault(entry.section, []).append((name, entry.summary))
        sections.pop(HIDDEN, None)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        shown = {name: one for name, one in self._table.items() if one.section != HIDDEN}
        found = [
            CompletionItem(name, help=shown[name].summary.replace(",", ""))  # fish splits there
            for name in sorted(shown)
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


def _load(entry: Entry) -> click.Command:
    """The command itself, with its examples."""
    module, _, attribute = entry.where.partition(":")
    command = copy.copy(getattr(import_module(module), attribute))  # both programs have completion
    assert isinstance(command, click.Command)
    _append_examples(command, entry.examples)
    for names, shown in entry.inner.items():
        _append_examples(_inner(command, names.split()), shown)
    return command


def _inner(command: click.Command, names: list[str]) -> click.Command:
    """The command below it that these names lead to."""
    for name in names:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    return command


def _append_examples(command: click.Command, examples: tuple[str, ...]) -> None:
    if examples:
        listed = "\n".join(f"  {line}" for line in examples)
        before = f"{command.epilog}\n\n" if command.epilog else ""
        command.epilog = f"{before}\b\nExamples:\n{listed}"
