"""`ktjob models`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from ktclient.cli import command_settings, exit_codes
from ktclient.cli.render import columns, output, terminal, units
from ktclient.cli.render.columns import Column

if TYPE_CHECKING:
    from ktclient.planning.several.reports import ServerModel, ServerReport

    Listed = tuple[ServerReport, ServerModel]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def models(as_json: bool) -> int:
    """List the models for chats that the servers serve.

    All servers are asked at the same time, for six seconds at most. Of one that does not answer,
    the models are shown that it listed before. A star marks the model of a job that names neither
    server nor model. Exit code 6 if no server can be used.
    """
    from ktclient.planning.several import reports
    from ktclient.records.output_schema import SCHEMA

    servers = reports.read(command_settings.load())
    found = [(server, model) for server in servers for model in server.models]
    if as_json:
        record = {"schema": SCHEMA, "models": [_record(*one) for one in found]}
        output.print_data(json.dumps(record, ensure_ascii=False))
    elif found:
        _show(found)
    if not found:
        output.note("no server lists a model. See why with: ktjob servers")
    usable = any(one.is_usable for one in servers)
    return exit_codes.SUCCEEDED if usable else exit_codes.NO_SERVER


def _record(server: ServerReport, model: ServerModel) -> dict[str, object]:
    return {
        "id": model.id,
        "server": server.name,
        "url": server.url,
        "window": model.window,
        "is_default": _is_default(server, model),
        "is_available": server.is_usable,
    }


def _is_default(server: ServerReport, model: ServerModel) -> bool:
    return server.is_default and model.id == server.model


def _show(found: list[Listed]) -> None:
    names = [f"{model.id} *" if _is_default(one, model) else model.id for one, model in found]
    windows = ["" if one.window is None else units.compact(one.window) for _, one in found]
    table = [
        Column("MODEL", names, 100, least=20, cut_in_middle=True),
        Column("SERVER", [one.label for one, _ in found], 90, least=10, cut_in_middle=True),
        Column("WINDOW", windows, 60, is_right=True),
        Column("STATE", [one.state for one, _ in found], 70),
    ]
    coloured = terminal.is_coloured()
    output.print_painted("\n".join(columns.drawn(table, terminal.columns(), coloured=coloured)))
