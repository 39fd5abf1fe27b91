"""`ktjob retry`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from jobs.model import Job, Outcome
from jobs.store import rerun
from ktclient import wording
from ktclient.cli import command_settings, exit_codes
from ktclient.cli.jobs import selection, stored
from ktclient.cli.render import job_details, output
from ktclient.records import access, kinds, snapshot
from ktclient.submission import renewal
from ktclient.submission.spec import JobSpec, server_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from jobs.store.store import Store
    from ktclient.cli.jobs.selection import Given
    from ktclient.config.settings import Settings


@click.command()
@selection.asking
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or a list.")
def retry(yes: bool, as_json: bool, **given: Unpack[Given]) -> int:
    """Retry failed, lost or cancelled jobs as new jobs, and print the new ids.

    If a job has parts, only those run again that did not succeed. Start times in the future and
    prerequisites that have not succeeded yet still apply; a prerequisite that failed must be
    retried first. A time limit that the job exceeded does not apply again. To change other options,
    or to repeat a job that succeeded, use `ktjob rerun`.
    """
    from ktclient.records.selector import Scope

    settings, wanted = command_settings.load(), selection.parse(given)
    with selection.open_selected(wanted, Scope.UNSUCCESSFUL) as (store, found):
        old = found.jobs if wanted.words else _not_retried(store, found.jobs)
    for job in old:  # all are retried, or none
        rerun.require_unsuccessful(job)
    if not selection.is_confirmed(wanted, old, "retry", is_sure=yes):
        output.note("nothing was retried")
        return exit_codes.FAILED
    new = [_retried(settings, job, _without_limit(job)) for job in old]
    access.ensure_runner(settings.state)
    if as_json:
        with access.open_recovered(settings.state) as store:
            again = store.jobs_of([job.id for job, _, _ in new])
            records = [one.to_dict() for one in snapshot.of_jobs(store, again)]
        output.print_data(job_details.json_text(records[0] if wanted.is_one else records))
    elif new:
        output.print_data("\n".join(job.id for job, _, _ in new))
    for job, (again_as, is_new, kept) in zip(old, new, strict=True):
        output.note(_told(job.id, again_as, is_new=is_new, kept=kept))
        if is_new and _without_limit(job) is not None:
            exceeded = renewal.exceeded_note(JobSpec.from_json(job.spec), "ktjob rerun")
            output.note(f"note: {exceeded}")
    if new:
        stored.say_blocked([job.id for job, _, _ in new])
    _note_next([job for job, _, _ in new])
    selection.note_passed_over(found, Scope.UNSUCCESSFUL)
    return exit_codes.SUCCEEDED


def _not_retried(store: Store, jobs: Sequence[Job]) -> list[Job]:
    """Those that no other job retries yet."""
    return [job for job in jobs if store.by_key(rerun.key(job.id)) is None]


def _note_next(new: Sequence[Job]) -> None:
    if len(new) > 1:
        groups = {job.group_id for job in new}
        names = [group for group in groups if group is not None] if len(groups) == 1 else []
        output.note(f"  next       ktjob wait {' '.join(names or [job.id for job in new])}")
    for job in new if len(new) == 1 else ():
        if job.outcome in (None, Outcome.SUCCEEDED):
            output.note(f"  next       ktjob wait {job.id}, then ktjob result {job.id}")
        else:
            output.note(f"  next       ktjob retry {job.id}")


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
