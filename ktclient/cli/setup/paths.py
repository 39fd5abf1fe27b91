"""`ktjob paths`."""

from __future__ import annotations

import click

from ktclient.cli.render import job_details, output
from ktclient.config import settings as config
from ktclient.records.output_schema import SCHEMA

NAMES = ("state", "database", "log", "cache", "config")


@click.command()
@click.argument("name", type=click.Choice(NAMES), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def paths(name: str | None, as_json: bool) -> None:
    """Print the paths of state, database, log, cache and configuration, or only that of NAME.

    Creates nothing.
    """
    state, file = config.state_dir(), config.path()
    places = (state.root, state.database, state.runner_log, config.cache(), file)
    found = {key: str(place) for key, place in zip(NAMES, places, strict=True)}
    if name is not None:
        found = {name: found[name]}
    if as_json:
        output.print_data(job_details.json_text({"schema": SCHEMA, **found}))
    elif name is not None:
        output.print_data(found[name])
    else:
        output.print_data("\n".join(f"{key:<10} {place}" for key, place in found.items()))
