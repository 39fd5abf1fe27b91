"""Submit a batch file from Python."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime

from ktclient import batch_plan, batching, conditions, config, telling
from ktclient.handover import MAX_ATTEMPTS
from ktclient.submit import Job


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
    """Run a file of requests in OpenAI's Batch format; returns immediately with one job for all.

    When all requests have ended, `output` has a line for each, in order; failed ones go to `errors`
    instead, if that is given. `max_tokens` limits every answer, even if a request sets more;
    without it each request's own value applies, or 1024. Without `model`, a request's own model is
    used if the server has it, else the model that the server serves.

    Called again with the same `output`, even after a crash or with a changed file, it sends no
    answered request again: the answer to the same body under the same custom_id is kept. Failed
    lines are kept too, unless `retry_failed`. `label`, `after`, `at`, `notify` and `on_done` are as
    for `submit_long`.

    Raises the leaves of `ktclient.errors` named at `batching.hand_over`; nothing is stored then.
    `Job.result()` raises `JobFailed` if a line failed, with all results in `partial_text`.
    """
    settings = config.load()
    options = batch_plan.Options(
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
        telling.wished(notify, on_done, settings),
    )
    handed = batching.hand_over(os.fspath(path), options, settings)
    return Job(handed.job_id, settings)
