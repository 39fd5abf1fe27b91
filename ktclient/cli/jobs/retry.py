"""`ktjob retry`."""

from __future__ import annotations

import click

from ktclient import wording
from ktclient.cli import command_settings
from ktclient.cli.render import job_details, output
from ktclient.records import access, snapshot
from ktclient.submission import spec


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def retry(job_id: str, as_json: bool) -> None:
    """Retry a failed, lost or cancelled job as a new job, and print the new id.

    If the job has parts, only those run again that did not succeed.
    """
    from jobs.store.rerun import Retries
    from ktclient.submission import lent_keys

    settings = command_settings.load()
    with access.open_recovered(settings.state, job_id) as store:
        old = store.find(job_id)
    server = spec.server_of(old.spec)
    with Retries.open(settings.state) as store, lent_keys.lending(settings, server):
        new = store.retry(old.id)
        kept = store.tally(new.id).succeeded
    access.ensure_runner(settings.state)
    if as_json:
        with access.open_recovered(settings.state) as store:
            record = snapshot.of_job(store, store.job(new.id)).to_dict()
        output.print_data(job_details.json_text(record))
    else:
        output.print_data(new.id)
    parts = (
        f"; {wording.count(kept, 'finished part')} {'is' if kept == 1 else 'are'} reused"
        if kept
        else ""
    )
    output.note(f"created job {new.id} as a retry of {old.id}{parts}")
    output.note(f"  next       ktjob wait {new.id}, then ktjob result {new.id}")
