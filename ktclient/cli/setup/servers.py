"""`ktjob servers`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ktclient.cli import command_settings, exit_codes
from ktclient.cli.render import columns, output, terminal, units
from ktclient.cli.render.columns import Column

if TYPE_CHECKING:
    from ktclient.planning.several.reports import ServerReport


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def servers(as_json: bool) -> int:
    """Show the servers that are configured or found, and those that ktserver runs.

    All are asked at the same time, for six seconds at most. The default server has a star. IN USE
    is the share of its KV pool that all clients use, JOBS are ktjob's own, PREFILL is the speed
    that ktjob saw there last. Exit code 6 if none can be used.
    """
    from ktclient.planning.several import reports
    from ktclient.records.output_schema import SCHEMA

    found = reports.read(command_settings.load())
    if as_json:
        record = {"schema": SCHEMA, "servers": [asdict(one) for one in found]}
        output.print_data(json.dumps(record, ensure_ascii=False))
    elif found:
        _show(found)
    if not found:
        output.note(
            "no server is configured or found. Name one with: ktjob config set server.url URL"
        )
    usable = any(one.is_usable for one in found)
    return exit_codes.SUCCEEDED if usable else exit_codes.NO_SERVER


def _show(found: list[ServerReport]) -> None:
    table = [
        Column("SERVER", [_name(one) for one in found], 100, least=10, cut_in_middle=True),
        Column("STATE", [one.state for one in found], 100, styles=[_style(one) for one in found]),
        Column("MODEL", [one.model or "" for one in found], 80, least=12, cut_in_middle=True),
        Column("WINDOW", [_tokens(one.window) for one in found], 60, is_right=True),
        Column("POOL", [_tokens(one.pool) for one in found], 50, is_right=True),
        Column("IN USE", [_used(one) for one in found], 55, is_right=True),
        Column("REQUESTS", [_requests(one) for one in found], 40),
        Column("JOBS", [_jobs(one) for one in found], 70),
        Column("PREFILL", [_speed(one) for one in found], 45, is_right=True),
    ]
    coloured = terminal.is_coloured()
    lines = columns.drawn(table, terminal.columns(), coloured=coloured)
    output.print_painted("\n".join(lines))
    for one in found:
        if one.reason is not None:
            output.note(f"{one.label}: {one.reason}")


def _name(one: ServerReport) -> str:
    return f"{one.label} *" if one.is_default else one.label


def _style(one: ServerReport) -> str:
    from ktclient.planning.several import reports

    if one.state in (reports.READY, reports.BUSY):
        return "good"
    return "" if one.is_usable else "bad"


def _tokens(number: int | None) -> str:
    return "" if number is None else units.compact(number)


def _used(one: ServerReport) -> str:
    return "" if one.used is None or not one.pool else f"{one.used / one.pool:.0%}"


def _requests(one: ServerReport) -> str:
    if one.running is None:
        return ""
    return f"{one.running}" if not one.waiting else f"{one.running}, {one.waiting} waiting"


def _jobs(one: ServerReport) -> str:
    own = one.own
    words = [f"{own.running} running"] if own.running else []
    words += [f"{own.waiting} queued"] if own.waiting else []
    words += ["paused"] if own.is_paused else []
    return ", ".join(words)


def _speed(one: ServerReport) -> str:
    return "" if one.prefill_speed is None else f"{units.compact(round(one.prefill_speed))} tok/s"
