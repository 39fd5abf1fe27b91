"""The results of a batch as two files: answers, and lines without one.

Both are made of the store on request, when the batch has ended, and kept on disk: deleting them
loses nothing. All functions are for a thread.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

from jobs import clock, draft, private_folder
from jobs.model import Job, Outcome
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.answers.stretches import ANSWER_CHANNEL, THOUGHTS_CHANNEL
from ktclient.batch import file as batch_file
from ktclient.batch import results as batch_results
from ktclient.batch.results import Answered
from ktclient.errors import EmptyAnswer
from ktclient.gateway import visibility
from ktclient.gateway.batches import state as states
from ktclient.gateway.batches.batch_object import ERR, OUT
from ktclient.gateway.batches.lines import RESPONSES
from ktclient.gateway.batches.state import CANCELLED, Batch
from ktclient.gateway.context import Caller
from ktclient.gateway.files import storage
from ktclient.gateway.files.file_object import OUTPUT, Shown, epoch
from ktclient.gateway.responses import plain
from ktclient.gateway.wire.errors import ApiError

CANCELLED_CODE = "batch_cancelled"
_DELETED = "deleted_results"
"""The field of a batch's request with the prefixes of the results that were deleted."""
_SLICE = 500
_MOST_BATCHES = 100_000


@dataclass(frozen=True)
class Result:
    """One of the two files of a batch that has ended."""

    batch: Batch
    prefix: str

    @property
    def id(self) -> str:
        return f"{self.prefix}{self.batch.job.id}"

    @property
    def is_errors(self) -> bool:
        """Whether it has the lines without an answer."""
        return self.prefix == ERR

    @property
    def created_at(self) -> str:
        assert self.batch.last.finished_at is not None
        return self.batch.last.finished_at

    @property
    def expires_at(self) -> str | None:
        seconds = self.batch.request.fields.get("output_seconds")
        if not isinstance(seconds, int):
            return None
        ended = clock.moment(self.created_at)
        return clock.of(ended + timedelta(seconds=seconds))

    @property
    def is_there(self) -> bool:
        """Whether there is such a file: the batch has such lines, and it was not deleted."""
        has_any = self.batch.has_output if self.prefix == OUT else self.batch.has_errors
        deleted = self.batch.request.fields.get(_DELETED, [])
        is_deleted = isinstance(deleted, list) and self.prefix in deleted
        is_over = (
            self.expires_at is not None and self.expires_at <= clock.now() if has_any else False
        )
        return has_any and not is_deleted and not is_over

    def path(self, state: StateDir) -> Path:
        """Where it is, once it was written. A retry of the batch has files of its own."""
        kind = "output" if self.prefix == OUT else "errors"
        return state.gateway_batches / f"{self.batch.last.id}.{kind}.jsonl"

    def shown(self, size: int) -> Shown:
        """The file, with its size in bytes."""
        name = str(self.batch.request.fields["filename"]).removesuffix(".jsonl")
        kind = "output" if self.prefix == OUT else "error"
        filename = f"{name}_{kind}.jsonl"
        return Shown(self.id, filename, OUTPUT, size, self.created_at, self.expires_at)


def is_id(file_id: str) -> bool:
    """Whether an id of a file names a result."""
    return file_id.startswith((OUT, ERR))


def find(store: HttpStore, caller: Caller, file_id: str) -> Result:
    """The result with this id. Raises `ApiError` 404."""
    prefix = OUT if file_id.startswith(OUT) else ERR
    batch = states.find(store, caller, file_id.removeprefix(prefix))
    result = Result(batch, prefix)
    if not result.is_there or result.id != file_id:
        raise visibility.not_found(file_id)
    return result


def listed(store: HttpStore, caller: Caller) -> list[Result]:
    """All results that the caller sees."""
    batches = states.listed(store, caller, _MOST_BATCHES, None, is_descending=False)
    both = (Result(batch, prefix) for batch in batches for prefix in (OUT, ERR))
    return [one for one in both if one.is_there]


def delete(store: HttpStore, state: StateDir, result: Result) -> None:
    """Show it no more, and delete it from disk. The batch keeps its answers in the store until its
    job is deleted."""
    request = result.batch.request
    deleted = request.fields.get(_DELETED, [])
    assert isinstance(deleted, list)
    fields = {**request.fields, _DELETED: [*deleted, result.prefix]}
    store.set_request_fields(request.job_id, fields)
    result.path(state).unlink(missing_ok=True)


def written(store: HttpStore, state: StateDir, result: Result) -> Path:
    """The path of the file, written now if it is not there. Raises `ApiError` where the disk takes
    it not."""
    path = result.path(state)
    if not path.is_file():
        with storage.explained(path):
            private_folder.make(path.parent)
            _write(store, result, path)
    return path


def about(store: HttpStore, state: StateDir, result: Result) -> Shown:
    """The file as lists have it. Where the disk takes it not, its size is counted: a list must not
    fail because of that."""
    try:
        return result.shown(written(store, state, result).stat().st_size)
    except ApiError:
        own = (
            line for line, is_error in lines(store, result.batch) if is_error == result.is_errors
        )
        return result.shown(sum(len(line.encode()) + 1 for line in own))


def _write(store: HttpStore, result: Result, path: Path) -> None:
    with contextlib.ExitStack() as stack:
        target = draft.Draft(path)
        stack.callback(target.drop)
        for line, is_error in lines(store, result.batch):
            if is_error == result.is_errors:
                target.file.write(line.encode() + b"\n")
        target.publish()


def lines(store: HttpStore, batch: Batch) -> Iterator[tuple[str, bool]]:
    """The lines of both files, in the order of the input, and whether each is an error."""
    parts = {part.part or "": part for part in store.parts(batch.last.id)}
    names = iter(_custom_ids(store, batch))
    number = 0
    while some := list(islice(names, _SLICE)):
        known = [parts[name] for name in some if name in parts]
        answers = _answers(store, [one for one in known if one.outcome is not None])
        for name in some:
            number += 1
            part = parts.get(name)
            if part is None or part.outcome in (None, Outcome.CANCELLED):
                own_id = f"{batch.last.id}-{number}" if part is None else part.id
                yield _never_run(batch, own_id, name), True
            else:
                yield _line(store, batch, part, answers[part.id])


def _custom_ids(store: HttpStore, batch: Batch) -> list[str]:
    document = store.document(batch.last.document)
    if not batch.spec.is_checked:
        return [line.custom_id for line in batch_file.examine(document)[0]]
    return [json.loads(line)["custom_id"] for line in document.split(b"\n")]


def _never_run(batch: Batch, own_id: str, name: str) -> str:
    if batch.status == CANCELLED:
        words = "the batch was cancelled before this request had an answer"
        return batch_results.failed(own_id, name, CANCELLED_CODE, words)
    words = batch.last.message or "the batch ended before this request had an answer"
    return batch_results.failed(own_id, name, batch.last.cause or "batch_failed", words)


def _answers(store: HttpStore, parts: Sequence[Job]) -> dict[str, Answered]:
    """What each part has, by its id."""
    attempts = store.current_attempts(parts)
    channels = (ANSWER_CHANNEL, THOUGHTS_CHANNEL, "tool_calls")
    texts = {channel: store.texts(parts, channel) for channel in channels}
    found = {}
    for part in parts:
        attempt = attempts.get(part.id)
        found[part.id] = Answered(
            job_id=part.id,
            rid="" if attempt is None else attempt.rid,
            created=epoch(part.finished_at or part.created_at),
            text=texts[ANSWER_CHANNEL].get(part.id, ""),
            reasoning=texts[THOUGHTS_CHANNEL].get(part.id, ""),
            tool_calls=texts["tool_calls"].get(part.id, ""),
            figures={} if attempt is None else attempt.figures,
        )
    return found


def _line(store: HttpStore, batch: Batch, part: Job, found: Answered) -> tuple[str, bool]:
    name, is_response = part.part or "", batch.request.fields["endpoint"] == RESPONSES
    if part.outcome is not Outcome.SUCCEEDED:
        cause, message = part.cause or part.state.lower(), part.message or ""
        if cause == EmptyAnswer.cause and found.has_output and not is_response:
            return batch_results.only_thoughts(name, found, message), True
        return batch_results.failed(part.id, name, cause, message), True
    try:
        if is_response:
            body = {**plain.read(store, part.id), "background": False}
            return batch_results.answered_with(name, found, body), False
        return batch_results.answered(name, found), False
    except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
        words = f"its answer cannot be written as a result: {error}. See: ktjob show {part.id}"
        return batch_results.failed(part.id, name, "protocol_error", words), True
