"""The error of a job that ended without an answer, as its clients get it.

Its own attempts are used up by then, so none of these is curable by asking again: a client that
retried by itself would pay for the prefill once more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from jobs.errors import KtjobError
from jobs.model import Job, Outcome
from ktclient.gateway.wire import errors
from ktclient.gateway.wire.errors import ApiError

CANCELLED = "cancelled"


def of(job: Job) -> ApiError:
    """The error of a finished job that did not succeed."""
    words = job.message or "the request failed"
    if job.outcome is Outcome.CANCELLED:
        return ApiError(409, words, errors.INVALID, CANCELLED)
    kind = _BY_CAUSE.get(job.cause or "")
    if kind is None:
        return ApiError(500, words, errors.SERVER, job.cause)
    return dataclasses.replace(errors.of(kind(words)), is_curable=False)


def _kinds(kind: type[KtjobError]) -> Iterator[type[KtjobError]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from _kinds(inner)


# A class without a cause of its own has that of its base, which comes before it and so wins.
_BY_CAUSE = {kind.cause: kind for kind in reversed(list(_kinds(KtjobError)))}
