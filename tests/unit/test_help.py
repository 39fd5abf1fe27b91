"""`--help` of every command: examples that parse, and lines that fit a terminal."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ktclient.cli.command_table import PROGRAMS
from ktclient.cli.ktjob import ktjob
from ktclient.cli.ktserver import ktserver

pytestmark = pytest.mark.each_python

GROUPS = {"ktjob": ktjob, "ktserver": ktserver}


def commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    for short, command in group.commands.items():
        if command.hidden:
            continue
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {short}")
        else:
            yield f"{name} {short}", command


def examples_of(name: str) -> tuple[str, ...]:
    """Those of a command, by its whole name."""
    program, command, *inner = name.split()
    entry = PROGRAMS[program][command]
    return entry.inner[" ".join(inner)] if inner else entry.examples


EACH = [one for name, group in GROUPS.items() for one in commands(group, name)]


@pytest.mark.parametrize(("name", "command"), EACH, ids=[name for name, _ in EACH])
def test_every_command_has_examples_that_parse(
    name: str, command: click.Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each shows the command itself, and would be understood."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "server.log").write_text("")
    shown = examples_of(name)
    assert shown, f"{name} has no example in ktclient/cli/command_table.py"
    program, *path = name.split()
    for line in shown:
        found = re.search(rf"\b{name}\b([^|)]*)", line)
        assert found, line
        words = shlex.split(found[1].rstrip().removesuffix('"') if "$(" in line else found[1])
        with GROUPS[program].make_context(program, [*path, *words]) as root:
            inner: click.Context = root
            group: click.Command = GROUPS[program]
            for step in path:
                assert isinstance(group, click.Group)
                group = group.commands[step]
                if isinstance(group, click.Group):
                    inner = group.make_context(step, ["x"], parent=inner)
            assert group is command
            group.make_context(path[-1], list(words), parent=inner)


@pytest.mark.parametrize(("name", "command"), EACH, ids=[name for name, _ in EACH])
def test_help_fits_80_columns(name: str, command: click.Command) -> None:
    """But for an example that is longer."""
    text = command.get_help(click.Context(command, info_name=name, terminal_width=80))
    for line in text.splitlines():
        assert len(line) <= 80 or line.strip() in examples_of(name), line
    assert "Examples:" in text
