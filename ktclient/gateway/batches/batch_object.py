"""A batch as OpenAI's object. Pure."""

from __future__ import annotations

from ktclient.gateway import ids
from ktclient.gateway.batches.state import CANCELLED, COMPLETED, FAILED, FINALIZING, Batch
from ktclient.gateway.files.file_object import epoch
from ktclient.records import kinds, phases

OUT, ERR = "file-batch_out_", "file-batch_err_"
"""Prefixes of the ids of results, before the id of the batch's job."""


def to_json(batch: Batch) -> dict[str, object]:
    """The object, with all its fields."""
    fields, job = batch.request.fields, batch.job
    return {
        "id": f"{ids.BATCH}{job.id}",
        "object": "batch",
        "endpoint": fields["endpoint"],
        "errors": _errors(batch),
        "input_file_id": fields["input_file_id"],
        "completion_window": fields["completion_window"],
        "status": batch.status,
        "output_file_id": f"{OUT}{job.id}" if batch.has_output else None,
        "error_file_id": f"{ERR}{job.id}" if batch.has_errors else None,
        "created_at": epoch(job.created_at),
        **_times(batch),
        "request_counts": {
            "total": batch.spec.lines,
            "completed": batch.totals.succeeded,
            "failed": batch.totals.failed,
        },
        "usage": _usage(batch),
        "metadata": fields["metadata"],
    }


def _times(batch: Batch) -> dict[str, object]:
    status, last, attempt = batch.status, batch.last, batch.attempt
    is_written = attempt is not None and attempt.phase == phases.WRITING_RESULTS
    finalizing = attempt.phase_at if attempt is not None and is_written else None
    known = {
        "in_progress_at": batch.checked_at,
        "expires_at": None,  # a batch here has all the time that it needs
        "finalizing_at": finalizing if status in (FINALIZING, COMPLETED) else None,
        "completed_at": last.finished_at if status == COMPLETED else None,
        "failed_at": last.finished_at if status == FAILED else None,
        "expired_at": None,
        "cancelling_at": last.cancel_requested_at,
        "cancelled_at": last.finished_at if status == CANCELLED else None,
    }
    return {name: None if at is None else epoch(at) for name, at in known.items()}


def _errors(batch: Batch) -> dict[str, object] | None:
    """Why a batch failed: what is wrong with its lines, or what ended its job."""
    if batch.status != FAILED:
        return None
    figures = {} if batch.attempt is None else batch.attempt.figures
    whole = {"line": None, "param": None, "code": batch.last.cause, "message": batch.last.message}
    return {"object": "list", "data": figures.get(kinds.PROBLEMS) or [whole]}


def _usage(batch: Batch) -> dict[str, object]:
    totals = batch.totals
    read, written = totals.prompt_tokens, totals.completion_tokens
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": totals.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": totals.thought_tokens},
        "total_tokens": read + written,
    }
