"""`ktjob retry`."""

from __future__ import annotations

import click

from ktclient import config, truth
from ktclient.cli import screen


@click.command()
@click.argument("job_id", metavar="ID")
def retry(job_id: str) -> None:
    """Do a job that failed, was lost or cancelled once more, as a new job; prints its id.

    Of a job of many parts only those are asked again that did not succeed.
    """
    from jobs.retrying import Retries

    settings = config.load()
    with truth.told(settings.state) as store:
        old = store.find(job_id)
    with Retries.open(settings.state) as store:
        new = store.retry(old.id)
        kept = store.tally(new.id).succeeded
    truth.serve(settings.state)
    screen.put(new.id)
    parts = f"; {kept} parts that succeeded are not asked again" if kept else ""
    screen.say(f"job {new.id} does what {old.id} did not{parts}")
    screen.say(f"  come back  ktjob wait {new.id}, then ktjob result {new.id}")
