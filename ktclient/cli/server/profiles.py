"""`ktserver profiles`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from ktclient.cli import exit_codes
from ktclient.cli.render import output, terminal, terminal_text

if TYPE_CHECKING:
    from server_bundle.plan.profile import Flag, Profile, Value


@click.group(invoke_without_command=True)
@click.pass_context
def profiles(context: click.Context) -> int:
    """List server profiles; `show NAME` explains every flag of one."""
    if context.invoked_subcommand is None:
        return context.invoke(list_)  # type: ignore[no-any-return]
    return exit_codes.SUCCEEDED


@profiles.command("list")
def list_() -> int:
    """List the server profiles."""
    from server_bundle.plan import profile

    found = [profile.load(name) for name in profile.names()]
    output.print_data(terminal_text.table([(one.name, one.engine, one.title) for one in found]))
    return exit_codes.SUCCEEDED


@profiles.command()
@click.argument("name")
def show(name: str) -> int:
    """Explain every flag and variable of a profile: reason, source and our changes."""
    from server_bundle.plan import profile

    output.print_data(describe(profile.load(name)))
    return exit_codes.SUCCEEDED


def describe(one: Profile) -> str:
    """The whole profile as text for people."""
    lines = [
        f"{one.name}: {one.title}",
        *_entry("engine", one.engine + (f", {one.since} or later" if one.since else "")),
        *_entry("status", one.status),
        *_entry("source", one.source),
        *_entry("needs", one.needs),
    ]
    prefix = one.prefix
    if prefix.guide:
        lines += ["", f"command prefix: {' '.join(prefix.guide)}", *_entry("why", prefix.reason)]
        if prefix.change is not None:
            lines += _changed(
                prefix.change.value or "none", prefix.change.reason, prefix.change.evidence
            )
    for variable in one.variables:
        lines += ["", f"{variable.name}={variable.value}", *_entry("why", variable.reason)]
        lines += _entry("source", variable.source)
    for flag in one.flags:
        lines += ["", *_flag(flag)]
    return "\n".join(lines)


def _flag(flag: Flag) -> list[str]:
    if flag.guide is None and flag.change is not None:
        return [
            _written(flag.name, flag.change.value) + "   (added)",
            *_entry("why", flag.change.reason),
            *_entry("evidence", flag.change.evidence),
        ]
    lines = [_written(flag.name, flag.guide), *_entry("why", flag.reason)]
    lines += _entry("source", flag.source)
    if flag.change is not None:
        lines += _changed(flag.change.value, flag.change.reason, flag.change.evidence)
    return lines


def _written(name: str, value: Value | None) -> str:
    return name if value is True else f"{name} {value}"


def _changed(value: Value | None, reason: str, evidence: str) -> list[str]:
    changed = "not set" if value is None else "set" if value is True else str(value)
    return [*_entry("changed", changed), *_entry("because", reason), *_entry("evidence", evidence)]


def _entry(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        width=min(terminal_text.COMFORTABLE, terminal.columns() or terminal_text.COMFORTABLE),
        initial_indent=f"    {label:<9} ",
        subsequent_indent=" " * 14,
        break_long_words=False,
        break_on_hyphens=False,
    )
