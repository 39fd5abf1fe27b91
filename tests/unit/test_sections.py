"""The table of commands: every command is in a section, with a line that is not cut."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import click
import pytest
from click.testing import CliRunner

from ktclient.cli import command_table as table
from ktclient.cli.ktjob import ktjob
from ktclient.cli.ktserver import ktserver

GROUPS = {"ktjob": ktjob, "ktserver": ktserver}
EACH = [(program, name) for program, known in table.PROGRAMS.items() for name in known]


def below(command: click.Command) -> Iterator[str]:
    """The commands below one, without the groups between, each by its names."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from (f"{name} {one}" for one in below(inner))
            if not isinstance(inner, click.Group):
                yield name


@pytest.mark.parametrize(("program", "name"), EACH)
def test_each_command_is_where_the_table_says(program: str, name: str) -> None:
    """Under its own name, hidden where its section is, and with the table's commands below it."""
    entry = table.PROGRAMS[program][name]
    module, _, attribute = entry.where.partition(":")
    found = getattr(import_module(module), attribute)
    assert isinstance(found, click.Command)
    assert found.name == name and found.hidden is (entry.section == table.HIDDEN)
    assert set(entry.inner) == set(below(found))
    assert entry.summary[0].isupper() and not entry.summary.endswith(".")


@pytest.mark.parametrize("program", GROUPS)
def test_no_line_of_the_help_is_cut_or_wrapped_at_80_columns(program: str) -> None:
    """Each says what it is for in one line; hidden commands are not shown."""
    printed = CliRunner().invoke(GROUPS[program], ["--help"], terminal_width=80).output
    for name, entry in table.PROGRAMS[program].items():
        found = [one for one in printed.splitlines() if one.split()[:1] == [name]]
        if entry.section == table.HIDDEN:
            assert not found
            continue
        assert f"\n{entry.section}:\n" in printed
        (line,) = found
        assert line.endswith(entry.summary) and len(line) <= 78


def test_a_command_that_is_not_in_the_table_is_refused() -> None:
    """Else it would be called, and neither helped nor completed."""
    with pytest.raises(TypeError, match=r"command_table\.py"):
        ktjob.add_command(click.Command("other"))
    with pytest.raises(KeyError):
        ktjob.commands["other"]


def test_the_examples_of_a_command_that_both_programs_have_are_each_its_own() -> None:
    """`completion` is one function: neither shows the other's examples."""
    for program, group in GROUPS.items():
        shown = group.commands["completion"].epilog or ""
        assert shown.count("Examples:") == 1 and f"{program} completion bash" in shown
