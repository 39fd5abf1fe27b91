"""`ktjob retry`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobs.model import Job, Outcome
from ktclient import wording
from ktclient.cli import command_settings
from ktclient.cli.jobs import stored
from ktclient.cli.render import job_details, output
from ktclient.records import access, kinds, snapshot
from ktclient.submission import renewal
from ktclient.submission.spec import JobSpec, server_of

if TYPE_CHECKING:
    from ktclient.config.settings import Settings


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def retry(job_id: str, as_json: bool) -> None:
    """Retry a failed, lost or cancelled job as a new job, and print the new id.

    If the job has parts, only those run again that did not succeed. Start times in the future and
    prerequisites that have not succeeded yet still apply; a prerequisite that failed must be
    retried first. A time limit that the job exceeded does not apply again. To change other options,
    or to repeat a job that succeeded, use `ktjob rerun`.
    """
    settings = command_settings.load()
    with access.open_recovered(settings.state, job_id) as store:
        old = store.find(job_id)
    spec = _without_limit(old)
    new, is_new, kept = _retried(settings, old, spec)
    access.ensure_runner(settings.state)
    if as_json:
        with access.open_recovered(settings.state) as store:
            record = snapshot.of_job(store, store.job(new.id)).to_dict()
        output.print_data(job_details.json_text(record))
    else:
        output.print_data(new.id)
    output.note(_told(old.id, new, is_new=is_new, kept=kept))
    if spec is not None and is_new:
        output.note(f"note: {renewal.exceeded_note(JobSpec.from_json(old.spec), 'ktjob rerun')}")
    stored.say_blocked([new.id])
    if new.outcome in (None, Outcome.SUCCEEDED):
        output.note(f"  next       ktjob wait {new.id}, then ktjob result {new.id}")
    else:
        output.note(f"  next       ktjob retry {new.id}")


def _without_limit(old: Job) -> str | None:
    """The spec for a retry of a job that exceeded its time limit; None: as it was."""
    if kinds.kind_of(old.spec) == kinds.BATCH:
        return None
    known = JobSpec.from_json(old.spec)
    return renewal.lasting(known).to_json() if renewal.has_exceeded(old, known) else None


def _retried(settings: Settings, old: Job, spec: str | None) -> tuple[Job, bool, int]:
    """The job that retries this one, whether it is new, and how many answers it has already."""
    from jobs.store.resume import Successions
    from ktclient.batch import retry as batch_retry
    from ktclient.batch import spec as batch_spec
    from ktclient.submission import lent_keys

    server = server_of(old.spec)
    with Successions.open(settings.state) as store, lent_keys.lending(settings, server):
        if kinds.kind_of(old.spec) == batch_spec.CONDUCT:
            new, is_new = batch_retry.retry(store, old)
        else:
            new, is_new = store.retry(old.id, spec)
        return new, is_new, store.tally(new.id).succeeded


def _told(old_id: str, new: Job, *, is_new: bool, kept: int) -> str:
    if not is_new:
        return f"job {old_id} was already retried as job {new.id}, which is {new.state}"
    parts = (
        f"; {wording.count(kept, 'finished part')} {'is' if kept == 1 else 'are'} reused"
        if kept
        else ""
    )
    return f"created job {new.id} as a retry of {old_id}{parts}"
