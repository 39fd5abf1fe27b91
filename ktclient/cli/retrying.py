"""`ktjob retry`."""

from __future__ import annotations

import click

from ktclient import config, snapshot, spec, truth
from ktclient.cli import looking, screen


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def retry(job_id: str, as_json: bool) -> None:
    """Retry a failed, lost or cancelled job as a new job, and print the new id.

    If the job has parts, only those run again that did not succeed.
    """
    from jobs.retrying import Retries
    from ktclient import lent_keys

    settings = config.load()
    with truth.told(settings.state, job_id) as store:
        old = store.find(job_id)
    server = spec.server_of(old.spec)
    with Retries.open(settings.state) as store, lent_keys.lending(settings, server):
        new = store.retry(old.id)
        kept = store.tally(new.id).succeeded
    truth.serve(settings.state)
    if as_json:
        with truth.told(settings.state) as store:
            record = snapshot.take(store, store.job(new.id)).to_dict()
        screen.put(looking.json_text(record))
    else:
        screen.put(new.id)
    parts = f"; {kept} finished parts are reused" if kept else ""
    screen.say(f"created job {new.id} as a retry of {old.id}{parts}")
    screen.say(f"  come back  ktjob wait {new.id}, then ktjob result {new.id}")
