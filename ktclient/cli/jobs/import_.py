"""`ktjob import`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ktclient import wording
from ktclient.cli import command_settings
from ktclient.cli.render import job_details, output
from ktclient.records.output_schema import SCHEMA

if TYPE_CHECKING:
    from jobs.upkeep.imports import Stored


@click.command(name="import")
@click.argument("file")
@click.option("--incomplete", is_flag=True, help="Also import what is left of a file that was cut.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def import_(file: str, incomplete: bool, as_json: bool) -> None:
    """Store the jobs of FILE, which `ktjob export` wrote as json or jsonl, as ended jobs.

    They keep their ids where these are free, and never run. Jobs that are here already are left as
    they are. Either all of FILE is imported or nothing.
    """
    from ktclient.exports import incoming

    stored = incoming.store(command_settings.state(), file, incomplete=incomplete)
    new = [one for one in stored if one.is_new]
    if as_json:
        output.print_data(job_details.json_text(_record(stored)))
    elif new:
        output.print_data("\n".join(one.id for one in new))
    for one in new:
        if one.id != one.was:
            output.note(f"job {one.was} is job {one.id} here: another job has its id")
    if len(new) < len(stored):
        here = wording.count(len(stored) - len(new), "job")
        output.note(f"{here} of {file} already here, left unchanged")
    if completed := sum(one.is_completed for one in stored):
        output.note(f"{wording.count(completed, 'job')} of these got the document that was missing")
    output.note(f"{wording.count(len(new), 'job')} imported")


def _record(stored: Sequence[Stored]) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "imported": [{"id": one.id, "was": one.was} for one in stored if one.is_new],
        "present": [{"id": one.id, "was": one.was} for one in stored if not one.is_new],
    }
