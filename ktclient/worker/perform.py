"""Perform one job in a worker: server, count, request, and every step into the store."""

from __future__ import annotations

from jobs.store.state_dir import StateDir
from jobs.worker.attempt import RunningAttempt
from ktclient.errors import AbortedByServer, ServerRefused
from ktclient.prompts import answer_schema, tasks
from ktclient.records import kinds
from ktclient.submission import lent_keys
from ktclient.submission.spec import JobSpec
from ktclient.worker import (
    conductors,
    exchange,
    ghost_prefill,
    job_settings,
    memory_shortage,
    preload,
)
from ktclient.worker.job_settings import JobSettings
from ktclient.worker.retry import tries


def prepare() -> None:
    """Called once in the runner, before it forks workers."""
    preload.preload()


def tidy(state: StateDir) -> None:
    """Called in the runner when no work is left."""
    lent_keys.sweep(state)


def perform(attempt: RunningAttempt) -> None:
    """Perform one job. Raises a `KtjobError` if there is no complete answer, `WorkCancelled` if a
    cancel was requested."""
    kind = kinds.kind_of(attempt.spec)
    if kind is not None:
        conductors.conductor_for(kind)(attempt)
        return
    spec = JobSpec.from_json(attempt.spec)
    left_behind = ghost_prefill.GhostPrefills(attempt)
    answer_schema.warm_up(spec.task.schema)
    for turn in tries(attempt, spec):
        with turn, memory_shortage.named(attempt):
            settings = job_settings.read(attempt, spec)
            _with_schema_fallback(attempt, spec, settings, left_behind)


def _with_schema_fallback(
    attempt: RunningAttempt,
    spec: JobSpec,
    settings: JobSettings,
    left_behind: ghost_prefill.GhostPrefills,
) -> None:
    """Send the request with the answer's schema, if there is one; without it if the server has
    rejected the schema before it computed anything."""
    has_schema = tasks.response_format(spec.task) is not None
    try:
        exchange.run(attempt, spec, settings, left_behind, with_schema=has_schema)
    except (ServerRefused, AbortedByServer) as error:
        # sglang's scheduler refuses a schema when it has no grammar backend (grammar_manager.py);
        # sglang-kt then drops the message and reports an abort after a prompt of one token.
        was_read = isinstance(error, AbortedByServer) and error.was_read
        if not has_schema or was_read:
            raise
        attempt.log_event("asked again without a schema", reason=str(error))
        exchange.run(attempt, spec, settings, left_behind, with_schema=False)
