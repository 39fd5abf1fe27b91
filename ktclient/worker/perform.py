"""Perform one job in a worker: server, count, request, and every step into the store."""

from __future__ import annotations

import re

from jobs.store.state_dir import StateDir
from jobs.worker.attempt import Perform, RunningAttempt
from ktclient.errors import AbortedByServer, BadInput, ServerRefused
from ktclient.prompts import answer_schema, tasks
from ktclient.records import kinds
from ktclient.records.kinds import SPLIT
from ktclient.request.stream import MAX_TOKENS, NEW_LIMIT, SCHEMA, STREAM_OPTIONS
from ktclient.submission import lent_keys
from ktclient.submission import spec as submission_spec
from ktclient.submission.spec import JobSpec
from ktclient.worker import exchange, ghost_prefill, job_settings, preload
from ktclient.worker import server as worker_server
from ktclient.worker.job_settings import JobSettings
from ktclient.worker.retry import (
    Paused,
    require_resumed,
    shortage_named,
    tries,
    wait_for_resume,
)

_LIMITS = (MAX_TOKENS, NEW_LIMIT)
_UNKNOWN = re.compile(
    r"unsupported|not support|unrecogni[sz]ed|unknown|unexpected|extra|not permitted|not allowed|"
    r"invalid (?:field|param|key|argument)|deprecated|instead|at the same time|only one|"
    r"不支持|未知",
    re.IGNORECASE,
)
"""How servers refuse a field itself, and not its value."""


def prepare() -> None:
    """Called once in the runner, before it forks workers."""
    preload.preload()


def may_share(job_spec: str) -> bool:
    """Called in the runner: whether a job may share a worker with others."""
    return submission_spec.may_share(job_spec)


def begins(job_spec: str, document: str) -> str:
    """Called in the runner: what a job's request begins with."""
    return submission_spec.begins(job_spec, document)


def tidy(state: StateDir) -> None:
    """Called in the runner when no work is left."""
    lent_keys.sweep(state)


def perform(attempt: RunningAttempt) -> None:
    """Perform one job. Raises a `KtjobError` if there is no complete answer, `WorkCancelled` if a
    cancel was requested."""
    kind = kinds.kind_of(attempt.spec)
    if kind is not None:
        _conductor_for(kind)(attempt)
        return
    spec = JobSpec.from_json(attempt.spec)
    left_behind = ghost_prefill.GhostPrefills(attempt)
    answer_schema.warm_up(spec.task.schema)
    while True:
        try:
            for turn in tries(attempt, spec):
                with turn, shortage_named(attempt):
                    require_resumed(attempt)
                    spec = _moved(attempt, spec, left_behind)
                    with worker_server.other_looked_for(attempt, spec, left_behind):
                        settings = job_settings.read(attempt, spec)
                        _with_fallbacks(attempt, spec, settings, left_behind)
                        has_key = settings.api_key is not None
            attempt.afterwards = worker_server.offer(attempt, spec, has_key=has_key)
            return
        except Paused:
            wait_for_resume(attempt)  # then all over: the server may be another one, or away


def _moved(
    attempt: RunningAttempt, spec: JobSpec, left_behind: ghost_prefill.GhostPrefills
) -> JobSpec:
    """The spec, or the one with which another server has the job since the last try."""
    if not spec.others or submission_spec.server_of(attempt.spec) == spec.server:
        return spec
    left_behind.dismiss()
    return JobSpec.from_json(attempt.spec)


def _conductor_for(kind: str) -> Perform:
    """The function that performs a job of many requests. Raises `BadInput` for a kind of a newer
    ktjob."""
    from ktclient.batch import spec as batch_spec
    from ktclient.worker import batch_conductor, split_conductor

    known = {batch_spec.CONDUCT: batch_conductor.conduct, SPLIT: split_conductor.conduct}
    if kind not in known:
        raise BadInput(
            f"this job was submitted by a newer ktjob ({kind!r} is unknown here); upgrade ktjob"
        )
    return known[kind]


def _with_fallbacks(
    attempt: RunningAttempt,
    spec: JobSpec,
    settings: JobSettings,
    left_behind: ghost_prefill.GhostPrefills,
) -> None:
    """Send the request; once more without a field that the server refuses to know, because a
    refusal comes before anything is computed. Each field is left out once."""
    has_schema = tasks.response_format(spec.task) is not None
    without: frozenset[str] = frozenset()
    while True:
        try:
            exchange.run(attempt, spec, settings, left_behind, without=without)
            return
        except (ServerRefused, AbortedByServer) as error:
            name = _refused_field(error, without)
            if name is None or (name == SCHEMA and not has_schema):
                raise
            shown = "a schema" if name == SCHEMA else name
            attempt.log_event(f"asked again without {shown}", reason=str(error))
            without |= {name}


def _refused_field(error: ServerRefused | AbortedByServer, without: frozenset[str]) -> str | None:
    """The field without which the server may take the request; None if there is none.

    A schema may be refused in any words, so it is the last to be left out: sglang's scheduler
    refuses one when it has no grammar backend (grammar_manager.py), and sglang-kt then drops the
    message and reports an abort after a prompt of one token.
    """
    words = str(error)
    if isinstance(error, ServerRefused):
        if STREAM_OPTIONS in words and STREAM_OPTIONS not in without:
            return STREAM_OPTIONS
        if _UNKNOWN.search(words):
            limits = (name for name in _LIMITS if re.search(rf"\b{name}\b", words))
            if (limit := next(limits, None)) is not None and without.isdisjoint(_LIMITS):
                return limit
    elif error.was_read:
        return None
    return SCHEMA if SCHEMA not in without else None
