"""`ktjob logs`."""

from __future__ import annotations

import click

from ktclient.cli import command_settings, log_end
from ktclient.cli.jobs import lookup
from ktclient.cli.render import job_details, output, units
from ktclient.records.output_schema import SCHEMA


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def logs(job_id: str, as_json: bool) -> None:
    """Show the events of a job and the log of its worker."""
    with lookup.open_job(job_id) as (store, job):
        events = store.events(job.id)
    log = command_settings.state().job_log(job.id)
    text = log_end.text(log).strip()
    if as_json:
        record = {"schema": SCHEMA, "id": job.id, "log": str(log), "text": text}
        output.print_data(
            job_details.json_text({**record, "events": list(map(job_details.event_record, events))})
        )
        return
    for event in events:
        output.print_data(f"{units.local_time(event.at)}  {job_details.event_line(event)}")
    if text:
        output.print_data(f"-- {log}\n{text}")
