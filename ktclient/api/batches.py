"""Handing over a file of requests, from Python."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime

from ktclient.api.job import Job
from ktclient.batch import enqueue, preflight
from ktclient.config import settings as config
from ktclient.notify import delivery
from ktclient.planning.handover import MAX_ATTEMPTS
from ktclient.submission import conditions


def submit_batch(  # noqa: PLR0913 - its options are its interface, as with submit_long
    path: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str],
    errors: str | os.PathLike[str] | None = None,
    max_tokens: int | None = None,
    timeout: float | None = None,
    model: str | None = None,
    server: str | None = None,
    max_attempts: int = MAX_ATTEMPTS,
    priority: int = 0,
    retry_failed: bool = False,
    label: str | None = None,
    after: Sequence[str] = (),
    at: str | datetime | None = None,
    notify: Sequence[str] = (),
    on_done: str | None = None,
) -> Job:
    """Run a file of requests in OpenAI's Batch format; returns at once with a job for all of them.

    When all have ended, `output` has a line for each, in order; those that failed go to `errors`,
    if that is named. `max_tokens` is the most of any answer, whatever a request says; without it
    what each says, or 1024. Without `model` it is the one that a request names, if the server has
    it, else what the server serves. Called again with the same `output`, also after a crash and
    with a file that was changed, it asks nothing twice: what was answered under a custom_id, to the
    same body, stays. Lines that failed stay too, unless `retry_failed`. `label`, `after`, `at`,
    `notify` and `on_done` are as for `submit_long`.

    Raises the leaves of `ktclient.errors` named at `batching.hand_over`; nothing is stored then.
    `Job.result()` raises `JobFailed` when a line failed, with all results in `partial_text`.
    """
    settings = config.load()
    options = preflight.Options(
        os.fspath(output),
        None if errors is None else os.fspath(errors),
        max_tokens,
        timeout,
        model,
        server,
        max_attempts,
        priority,
        retry_failed,
        conditions.conditions(label, after, at),
        delivery.wished(notify, on_done, settings),
    )
    handed = enqueue.hand_over(os.fspath(path), options, settings)
    return Job(handed.job_id, settings)
