"""The worker of a batch: store its requests as parts, wait, write their results."""

from __future__ import annotations

import itertools
from collections import Counter

from jobs import clock
from jobs.errors import PartFailed
from jobs.model import Job, NewJob, Outcome
from jobs.store.families import Tally
from jobs.worker import conductor
from jobs.worker.attempt import RunningAttempt
from jobs.worker.conductor import retry_until_usable
from ktclient.batch import results as batch_results
from ktclient.batch import shares as batch_shares
from ktclient.batch import spec as batch_spec
from ktclient.batch.result_files import ResultFiles
from ktclient.batch.results import Answered
from ktclient.batch.spec import BatchSpec, Request
from ktclient.errors import EmptyAnswer, ResultsUnwritable
from ktclient.records import phases
from ktclient.wording import quote
from ktclient.worker import batch_check
from ktclient.worker.waiting_parts import WaitingParts

_SLICE = 500
"""Parts stored in one transaction, which takes a fraction of a second."""
_FLUSH_CHARACTERS = 1_000_000
"""Characters of results buffered before they are written to the store."""


def conduct(running: RunningAttempt) -> None:
    """Run a batch. Raises `PartFailed` if a request failed, and `ResultsUnwritable`; the job's
    output has all results in both cases."""
    spec = BatchSpec.from_json(running.spec)
    if not spec.is_checked:
        spec = batch_check.checked(running, spec)
    running.enter_phase(phases.STORING_REQUESTS)
    names = _store(running, spec)
    running.enter_phase(phases.RUNNING_REQUESTS)
    tell = _ProgressReport(running, len(names), None if spec.is_held else spec.results).tell
    ended = conductor.wait_for_parts(running, len(names), tolerant=True, look=tell)
    running.enter_phase(phases.WRITING_RESULTS)
    parts = {part.part: part for part in ended}
    _write(running, spec, [parts[name] for name in names])
    failed = [parts[name] for name in names if not _is_answered(parts[name])]
    if failed:
        raise PartFailed(_what_failed(running, spec, failed))


def _store(running: RunningAttempt, spec: BatchSpec) -> list[str]:
    """Store missing parts; existing ones stay as they are. Returns the custom_ids in order."""
    names: list[str] = []
    requests = batch_spec.from_document(running.document())
    place = batch_shares.Shares(spec)
    while some := list(itertools.islice(requests, _SLICE)):
        conductor.add(
            running, [_part(running, spec, request, place.of(request)) for request in some]
        )
        names += [request.custom_id for request in some]
        running.progress(len(names), spec.lines, "lines")
        running.heartbeat()
    return names


def _part(running: RunningAttempt, spec: BatchSpec, request: Request, server: str) -> NewJob:
    has_key = spec.shares.get(server, spec.has_key)
    return NewJob(
        pool=server,
        spec=request.spec(
            server, has_key=has_key, others=batch_shares.others(spec, request, server)
        ),
        document=request.body,
        title=f"{running.job.title}: {request.custom_id}",
        weight=request.weight,
        max_attempts=spec.max_attempts,
        priority=running.job.priority,
        parent=running.job_id,
        part=request.custom_id,
    )


class _ProgressReport:
    """Reports progress in lines, and how many failed so far."""

    def __init__(self, running: RunningAttempt, lines: int, results: str | None) -> None:
        self._running, self._lines, self._results = running, lines, results
        self._failed = -1
        self._waiting = WaitingParts(running)

    def tell(self, tally: Tally) -> None:
        self._running.progress(tally.ended, self._lines, "lines")
        self._waiting.look(tally)
        if tally.failed != self._failed:
            self._failed = tally.failed
            place = {} if self._results is None else {"results": self._results}
            self._running.record_metrics(lines=self._lines, failed=tally.failed, **place)


def _write(running: RunningAttempt, spec: BatchSpec, parts: list[Job]) -> None:
    """Write the same lines to the job's output and to the files."""
    results = None if spec.is_held else spec.results
    files = ResultFiles(results, spec.errors, spec.mode, running.job_id)
    try:
        held, marks = 0, Counter[str]()
        for number, part in enumerate(parts):
            line, is_error = _line(running, part, marks)
            files.write(line, is_error=is_error)
            running.output(f"\n{line}" if number else line)
            held += len(line)
            if held > _FLUSH_CHARACTERS:
                held = 0
                running.progress(number, len(parts), "lines")
                running.flush()
        running.record_metrics(**marks)
        # The output first: it is stored even if the files cannot be written.
        running.flush_durably()
        files.publish()
    except OSError as error:
        raise ResultsUnwritable(
            f"the results cannot be written to {error.filename}: {error.strerror}. They are kept: "
            f"ktjob result {running.job_id}. After fixing the cause, `ktjob retry "
            f"{running.job_id}` writes them without sending any request again"
        ) from error
    finally:
        files.drop()


def _line(running: RunningAttempt, part: Job, marks: Counter[str]) -> tuple[str, bool]:
    """A line of the results, and whether it is an error. Turn marks that were made harmless in its
    request are added."""
    custom_id = part.part or ""
    if not _is_answered(part):
        cause, message = part.cause or part.state.lower(), part.message or ""
        if cause == EmptyAnswer.cause and (empty := _answer(running, part)).has_output:
            return batch_results.only_thoughts(custom_id, empty, message), True
        return batch_results.failed(part.id, custom_id, cause, message), True
    found = _answer(running, part)
    if isinstance(many := found.figures.get("turn_marks"), int):
        marks["turn_marks"] += many
    if warning := found.figures.get("warning"):
        running.record_metrics(
            warning=f"{quote(custom_id)} (job {part.id}), perhaps others: {warning}"
        )
    if not found.has_words:  # accepted before thoughts alone were a failure
        words = f"its output has no word of an answer, only thoughts. See: ktjob show {part.id}"
        return batch_results.only_thoughts(custom_id, found, words), True
    try:
        return batch_results.answered(custom_id, found), False
    except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
        # What came is no answer of this format; the other lines must not wait for it.
        words = f"its answer cannot be written as a result: {error}. See: ktjob show {part.id}"
        return batch_results.failed(part.id, custom_id, "protocol_error", words), True


def _answer(running: RunningAttempt, part: Job) -> Answered:
    attempt = retry_until_usable(running, lambda: running.parts.attempt(part))
    pieces = retry_until_usable(running, lambda: running.parts.pieces(part))
    assert attempt is not None and part.finished_at is not None
    text = {name: "" for name in ("answer", "reasoning", "tool_calls")}
    for piece in pieces:
        text[piece.channel] += piece.text
    ended = clock.moment(part.finished_at)
    return Answered(
        job_id=part.id,
        rid=attempt.rid,
        created=int(ended.timestamp()),
        text=text["answer"],
        reasoning=text["reasoning"],
        tool_calls=text["tool_calls"],
        figures=attempt.figures,
    )


def _is_answered(part: Job) -> bool:
    return part.outcome is Outcome.SUCCEEDED


def _what_failed(running: RunningAttempt, spec: BatchSpec, failed: list[Job]) -> str:
    first = failed[0]
    lines = f"{len(failed):,} of {spec.lines:,} lines"
    files = " and ".join(path for path in (spec.results, spec.errors) if path)
    where = f"shown by `ktjob result {running.job_id}`" if spec.is_held else f"in {files}"
    return (
        f"{lines} failed, first {quote(first.part or '')} (job {first.id}): {first.message} "
        f"[{first.cause}]. All results are {where}. After fixing the cause, `ktjob retry "
        f"{running.job_id}` sends only the requests without an answer"
    )
