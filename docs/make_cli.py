"""Writes docs/cli.md, what `--help` says of every command: `python docs/make_cli.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ktclient.cli.ktjob import ktjob
from ktclient.cli.ktserver import ktserver

PAGE = Path(__file__).with_name("cli.md")
WIDTH = 88
_HEAD = """\
# Every command, as `--help` tells it

Written by `python docs/make_cli.py`; a test holds it to what the commands say.
[Reference](reference.md) has exit codes, causes, settings, files and Python.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for group in (ktjob, ktserver):
        parts += [f"\n## {group.name}\n", _help(group, str(group.name))]
        parts += _below(group, str(group.name))
    return "\n".join(parts)


def _below(group: click.Group, path: str) -> list[str]:
    found = []
    for name in sorted(group.commands):
        command = group.commands[name]
        if not command.hidden:
            found += [f"\n### {path} {name}\n", _help(command, f"{path} {name}")]
            if isinstance(command, click.Group):
                found += _below(command, f"{path} {name}")
    return found


def _help(command: click.Command, path: str) -> str:
    context = click.Context(
        command,
        info_name=path,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        help_option_names=["-h", "--help"],
    )
    lines = [line.rstrip() for line in command.get_help(context).splitlines()]
    return "```text\n" + "\n".join(lines) + "\n```"


if __name__ == "__main__":
    if sys.argv[1:] == ["-"]:
        print(page())
    else:
        PAGE.write_text(page() + "\n", encoding="utf-8")
