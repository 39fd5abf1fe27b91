"""`ktjob logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient.cli import command_settings, log_end
from ktclient.cli.jobs import selection
from ktclient.cli.render import job_details, output, units
from ktclient.records.output_schema import SCHEMA

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from jobs.model import Event
    from ktclient.cli.jobs.selection import Given


@click.command()
@selection.options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or a list.")
def logs(as_json: bool, **given: Unpack[Given]) -> None:
    """Show the events of jobs and the logs of their workers."""
    wanted = selection.parse(given)
    with selection.open_selected(wanted) as (store, found):
        told = [(job.id, store.events(job.id)) for job in found.jobs]
    if as_json:
        records = [_record(job_id, events) for job_id, events in told]
        output.print_data(job_details.json_text(records[0] if wanted.is_one else records))
        return
    for number, (job_id, events) in enumerate(told):
        if len(told) > 1:
            gap = "\n" if number else ""
            output.print_data(f"{gap}== job {job_id}")
        _print(job_id, events)


def _record(job_id: str, events: list[Event]) -> dict[str, object]:
    log = command_settings.state().job_log(job_id)
    return {
        "schema": SCHEMA,
        "id": job_id,
        "log": str(log),
        "text": log_end.text(log).strip(),
        "events": list(map(job_details.event_record, events)),
    }


def _print(job_id: str, events: list[Event]) -> None:
    log = command_settings.state().job_log(job_id)
    for event in events:
        output.print_data(f"{units.local_time(event.at)}  {job_details.event_line(event)}")
    if text := log_end.text(log).strip():
        output.print_data(f"-- {log}\n{text}")
