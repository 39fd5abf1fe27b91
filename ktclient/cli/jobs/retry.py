"""`ktjob retry`."""

from __future__ import annotations

import click

from ktclient.cli.render import job_details, output
from ktclient.config import settings as config
from ktclient.records import access, snapshot
from ktclient.submission import spec


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def retry(job_id: str, as_json: bool) -> None:
    """Do a job that failed, was lost or cancelled once more, as a new job; prints its id.

    Of a job of many parts only those are asked again that did not succeed.
    """
    from jobs.store.rerun import Retries
    from ktclient.submission import lent_keys

    settings = config.load()
    with access.open_recovered(settings.state, job_id) as store:
        old = store.find(job_id)
    server = spec.server_of(old.spec)
    with Retries.open(settings.state) as store, lent_keys.lending(settings, server):
        new = store.retry(old.id)
        kept = store.tally(new.id).succeeded
    access.ensure_runner(settings.state)
    if as_json:
        with access.open_recovered(settings.state) as store:
            told = snapshot.of_job(store, store.job(new.id)).to_dict()
        output.print_data(job_details.json_text(told))
    else:
        output.print_data(new.id)
    parts = f"; {kept} parts that succeeded are not asked again" if kept else ""
    output.note(f"job {new.id} does what {old.id} did not{parts}")
    output.note(f"  come back  ktjob wait {new.id}, then ktjob result {new.id}")
