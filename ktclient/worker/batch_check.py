"""The first step of a batch that was stored as it came, over HTTP: its lines are checked as
`ktjob batch` checks them before it stores anything.

What they make is stored in place of the file, so a kill repeats the check at most, and later
attempts need no server for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jobs.worker.attempt import RunningAttempt
from jobs.worker.conductor import retry_until_usable
from ktclient import wording
from ktclient.batch import file, preflight
from ktclient.batch import spec as batch_spec
from ktclient.batch.file import Line, Problem
from ktclient.batch.preflight import Batch, Options
from ktclient.batch.spec import BatchSpec
from ktclient.config import settings as config
from ktclient.errors import DocumentUnusable, DoesNotFit
from ktclient.prompts.tasks import Kind, Task
from ktclient.records import kinds, phases
from ktclient.submission import capacity, lent_keys
from ktclient.submission.spec import JobSpec
from ktclient.worker.heartbeat import call_in_thread
from ktclient.worker.retry import AWAY_SECONDS, shortage_named, tries

_MOST_PROBLEMS = 100
_TABLES = ("server", "servers")


def checked(running: RunningAttempt, spec: BatchSpec) -> BatchSpec:
    """Check the file, and store its requests in place of it. A server that is away is waited for.
    Raises `DocumentUnusable` and `DoesNotFit`; what is wrong is a metric then."""
    running.enter_phase(phases.CHECKING_REQUESTS)
    document = running.document()
    lines, wrong = call_in_thread(running, lambda: file.examine(document))
    wrong = sorted([*spec.refused, *wrong], key=lambda one: one.number or 0)
    if not lines and not wrong:
        wrong = [Problem(None, "the file contains no request", "empty_file")]
    if wrong:
        raise DocumentUnusable(_noted(running, wrong))
    batch, too_long = _assessed(running, spec, lines)
    if too_long:
        raise DoesNotFit(_noted(running, too_long))
    found = replace(
        spec,
        lines=len(lines),
        digest=batch_spec.digest(lines),
        max_tokens=max(one.max_tokens for one in batch.requests),
        timeout=max(one.timeout for one in batch.requests),
        is_checked=True,
    )
    requests, target = batch_spec.to_document(batch.requests), batch.target
    retry_until_usable(
        running,
        lambda: running.amend(
            found.to_json(),
            requests,
            lambda store: {spec.server: capacity.of(store, target)},
        ),
    )
    return found


def _assessed(
    running: RunningAttempt, spec: BatchSpec, lines: Sequence[Line]
) -> tuple[Batch, list[Problem]]:
    """The requests as the server of the batch takes them."""
    options = Options(
        spec.results,
        usual_max_tokens=spec.max_tokens or None,
        is_by_window=not spec.max_tokens,
        server=spec.server,
        model=spec.model,
        max_attempts=spec.max_attempts,
    )
    whom = JobSpec(Task(Kind.REQUEST), spec.server, spec.model, 1, AWAY_SECONDS)
    for turn in tries(running, whom):
        with turn, shortage_named(running):
            if running.phase != phases.CHECKING_REQUESTS:
                running.enter_phase(phases.CHECKING_REQUESTS)
            return call_in_thread(
                running,
                lambda: preflight.assess(
                    running.job.title, lines, options, _settings(running, spec.server)
                ),
            )
    raise AssertionError("tries() ends with an answer or an error")


def _settings(running: RunningAttempt, server: str) -> config.Settings:
    return config.of_worker(lent_keys.of(running.state, server), _TABLES)


def _noted(running: RunningAttempt, wrong: Sequence[Problem]) -> str:
    """Record what is wrong. Returns a message about it."""
    told = [
        {"line": one.number, "code": one.code, "message": one.message, "param": one.param}
        for one in wrong[:_MOST_PROBLEMS]
    ]
    running.record_metrics(**{kinds.PROBLEMS: told})
    listed = "".join(f"\n  {one}" for one in wrong[:10])
    more = f"\n  and {len(wrong) - 10:,} more" if len(wrong) > 10 else ""
    return (
        f"the file has {wording.count(len(wrong), 'error')}, and no request was sent:{listed}{more}"
    )
