"""The worker of a batch: store its requests as parts, wait, write their results."""

from __future__ import annotations

import itertools
from datetime import datetime

from jobs.errors import PartFailed
from jobs.model import Job, NewJob, Outcome
from jobs.store.families import Tally
from jobs.worker import conductor
from jobs.worker.attempt import RunningAttempt
from jobs.worker.conductor import retry_until_usable
from ktclient.batch import results as batch_results
from ktclient.batch import spec as batch_spec
from ktclient.batch.result_files import ResultFiles
from ktclient.batch.results import Answered
from ktclient.batch.spec import BatchSpec, Request
from ktclient.errors import ResultsUnwritable
from ktclient.wording import quote

_SLICE = 500
"""Parts stored in one transaction, which takes a fraction of a second."""
_FLUSH_CHARACTERS = 1_000_000
"""Characters of results buffered before they are written to the store."""


def conduct(performing: RunningAttempt) -> None:
    """Run a batch. Raises `PartFailed` if a request failed, and `ResultsUnwritable`; the job's
    output has all results in both cases."""
    spec = BatchSpec.from_json(performing.spec)
    performing.enter("storing requests")
    names = _store(performing, spec)
    performing.enter("asking")
    tell = _Teller(performing, len(names), spec.results).tell
    ended = conductor.wait_for_parts(performing, len(names), tolerant=True, look=tell)
    performing.enter("writing results")
    parts = {part.part: part for part in ended}
    _write(performing, spec, [parts[name] for name in names])
    failed = [parts[name] for name in names if not _is_answered(parts[name])]
    if failed:
        raise PartFailed(_what_failed(performing, spec, failed))


def _store(performing: RunningAttempt, spec: BatchSpec) -> list[str]:
    """Store missing parts; existing ones stay as they are. Returns the custom_ids in order."""
    names: list[str] = []
    requests = batch_spec.from_document(performing.document())
    while some := list(itertools.islice(requests, _SLICE)):
        conductor.add(performing, [_part(performing, spec, request) for request in some])
        names += [request.custom_id for request in some]
        performing.progress(len(names), spec.lines, "lines")
        performing.beat()
    return names


def _part(performing: RunningAttempt, spec: BatchSpec, request: Request) -> NewJob:
    return NewJob(
        pool=spec.server,
        spec=request.spec(spec.server),
        document=request.body,
        title=f"{performing.job.title}: {request.custom_id}",
        weight=request.weight,
        max_attempts=spec.max_attempts,
        priority=performing.job.priority,
        parent=performing.job_id,
        part=request.custom_id,
    )


class _Teller:
    """Reports progress in lines, and how many failed so far."""

    def __init__(self, performing: RunningAttempt, lines: int, results: str) -> None:
        self._performing, self._lines, self._results = performing, lines, results
        self._failed = -1

    def tell(self, tally: Tally) -> None:
        self._performing.progress(tally.ended, self._lines, "lines")
        if tally.failed != self._failed:
            self._failed = tally.failed
            self._performing.figure(lines=self._lines, failed=tally.failed, results=self._results)


def _write(performing: RunningAttempt, spec: BatchSpec, parts: list[Job]) -> None:
    """Write the same lines to the job's output and to the files."""
    files = ResultFiles(spec.results, spec.errors, spec.mode, performing.job_id)
    try:
        held = 0
        for number, part in enumerate(parts):
            line = _line(performing, part)
            files.write(line, is_error=not _is_answered(part))
            performing.output(f"\n{line}" if number else line)
            held += len(line)
            if held > _FLUSH_CHARACTERS:
                held = 0
                performing.progress(number, len(parts), "lines")
                performing.flush()
        performing.settle()  # the output first: it is stored even if the files cannot be written
        files.publish()
    except OSError as error:
        raise ResultsUnwritable(
            f"the results cannot be written to {error.filename}: {error.strerror}. They are kept: "
            f"ktjob result {performing.job_id}. After fixing the cause, `ktjob retry "
            f"{performing.job_id}` writes them without sending any request again"
        ) from error
    finally:
        files.drop()


def _line(performing: RunningAttempt, part: Job) -> str:
    custom_id = part.part or ""
    if not _is_answered(part):
        cause, message = part.cause or part.state.lower(), part.message or ""
        return batch_results.failed(part.id, custom_id, cause, message)
    found = _answer(performing, part)
    if warning := found.figures.get("warning"):
        performing.figure(warning=f"{quote(custom_id)} (job {part.id}), perhaps others: {warning}")
    return batch_results.answered(custom_id, found)


def _answer(performing: RunningAttempt, part: Job) -> Answered:
    attempt = retry_until_usable(performing, lambda: performing.parts.attempt(part))
    pieces = retry_until_usable(performing, lambda: performing.parts.pieces(part))
    assert attempt is not None and part.finished_at is not None
    text = {name: "" for name in ("answer", "reasoning", "tool_calls")}
    for piece in pieces:
        text[piece.channel] += piece.text
    ended = datetime.fromisoformat(part.finished_at.replace("Z", "+00:00"))
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


def _what_failed(performing: RunningAttempt, spec: BatchSpec, failed: list[Job]) -> str:
    first = failed[0]
    lines = f"{len(failed):,} of {spec.lines:,} lines"
    files = " and ".join(path for path in (spec.results, spec.errors) if path)
    return (
        f"{lines} failed, first {quote(first.part or '')} (job {first.id}): {first.message} "
        f"[{first.cause}]. All results are in {files}. After fixing the cause, `ktjob retry "
        f"{performing.job_id}` sends only the requests without an answer"
    )
