"""Retry a batch that ended without success: only what was never answered is sent again.

A batch that ran before another one under the same results file may have lost its answers to that
one, because answers move. So they are looked for in all batches that write this file.
"""

from __future__ import annotations

from jobs.model import Job as StoredJob
from jobs.model import Outcome, Status
from jobs.store.resume import Heritage, Successions
from ktclient.batch import spec as batch_spec
from ktclient.batch.spec import BatchSpec
from ktclient.errors import BadInput


def retry(store: Successions, old: StoredJob) -> tuple[StoredJob, bool]:
    """Store the same batch again, or return the newest batch if it has the same requests. The
    second value is whether the job is new. Raises `BadInput` while a batch with other requests
    writes the same results file, and what `Successions.retry_pursued` raises."""
    spec = BatchSpec.from_json(old.spec)
    # A file that was never checked has no answers either.
    document = store.document(old.document) if spec.is_checked else b""
    requests = batch_spec.from_document(document) if document else ()
    heritage = Heritage(batch_spec.sums(requests), frozenset({Outcome.SUCCEEDED.value}))
    mark = batch_spec.mark(spec.results)
    return store.retry_pursued(old.id, mark, heritage, lambda newest: _is_it(newest, spec))


def _is_it(newest: StoredJob, wanted: BatchSpec) -> bool:
    if BatchSpec.from_json(newest.spec).digest == wanted.digest:
        return True
    if newest.status is not Status.FINISHED:
        raise busy(newest, wanted.results)
    return False


def busy(job: StoredJob, results: str) -> BadInput:
    """The error for a results file that another batch is to write."""
    doing = "is being cancelled" if job.cancel_requested_at else "is working on other requests"
    return BadInput(
        f"job {job.id} already writes {results} and {doing}: wait for it "
        f"(ktjob wait {job.id}), or cancel it (ktjob cancel {job.id}); its answers are kept"
    )
