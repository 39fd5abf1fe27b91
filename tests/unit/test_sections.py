"""The sections of `ktjob --help`: every command is in one, with a line that is not cut."""

from __future__ import annotations

import click
from click.testing import CliRunner

from ktclient.cli import sections
from ktclient.cli.ktjob import ktjob


def test_every_command_is_in_a_section_and_no_other() -> None:
    """Whoever adds a command says what it is for."""
    listed = [name for lines in sections._SECTIONS.values() for name in lines]
    assert len(listed) == len(set(listed))
    shown = {name for name, one in ktjob.commands.items() if not one.hidden}
    assert set(listed) == shown


def test_no_line_of_the_help_is_cut_or_wrapped_at_80_columns() -> None:
    """Each says what it is for in one line."""
    printed = CliRunner().invoke(ktjob, ["--help"], terminal_width=80).output
    for lines in sections._SECTIONS.values():
        for name, words in lines.items():
            (line,) = [one for one in printed.splitlines() if one.split()[:1] == [name]]
            assert line.endswith(words) and len(line) <= 78
    assert isinstance(ktjob, click.Group)
