"""The handle on a submitted job: its status, its answer, follow-up questions."""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict, TypeVar

from jobs import durations, model
from jobs.errors import IllegalTransition, KtjobError
from ktclient import times
from ktclient.config import settings as config
from ktclient.errors import BadInput, JobCancelled, JobFailed, JobLost, JobUnsuccessful, NotFinished
from ktclient.records import access, selector, snapshot, thinking
from ktclient.records.snapshot import Snapshot

if TYPE_CHECKING:
    from datetime import datetime

    from typing_extensions import Unpack

    from ktclient.answers.thoughts import Divided
    from ktclient.api.answer_reader import Heard
    from ktclient.prompts.combined import Part
    from ktclient.submission.changes import Changes

_LOOK_SECONDS = 0.2

Value = TypeVar("Value")


class Job:
    """A handle on a submitted job. It holds only the job's id: create one at any time from an id, a
    unique prefix of one, or "@last"."""

    def __init__(self, job_id: str, settings: config.Settings | None = None) -> None:
        self._settings = settings
        self._state = settings.state if settings else config.state_dir()
        with access.open_recovered(self._state, job_id) as store:
            self.id: str = selector.one(store, job_id).id

    @classmethod
    def known(cls, job_id: str, settings: config.Settings | None = None) -> Job:
        """A handle on a job whose whole id is known: the store is not looked at."""
        job = cls.__new__(cls)
        job._settings = settings
        job._state = settings.state if settings else config.state_dir()
        job.id = job_id
        return job

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    def _repr_html_(self) -> str:
        """HTML of the current status, for notebooks."""
        return self.status()._repr_html_()

    def status(self) -> Snapshot:
        """The current status, checked: a job whose worker has died is not RUNNING."""
        with access.open_recovered(self._state) as store:
            return snapshot.of_job(store, store.job(self.id))

    def wait(self, timeout: float | None = None) -> Job:
        """Return when the job has ended, in any state. Raises `NotFinished` after `timeout`
        seconds; the job keeps running."""
        for _ in self.watch(timeout):
            continue
        return self

    def watch(self, timeout: float | None = None) -> Iterator[Snapshot]:
        """Like `wait`, yielding the status several times a second; the last one is the end. Raises
        `StoreCopied` for a job that has not ended in a copy of a state directory."""
        give_up = times.deadline(timeout)
        is_checked = False
        while True:
            now = patiently(self.status)
            if not (now.is_finished or is_checked):
                patiently(self._require_running_here)
                is_checked = True
            yield now
            if now.is_finished:
                return
            if give_up is not None and time.monotonic() >= give_up:
                raise NotFinished(
                    f"job {self.id} has not finished within {durations.exact(timeout or 0)} s; "
                    f"{now.blocked or 'it is still running'}"
                )
            time.sleep(_LOOK_SECONDS)  # SQLite has no event for another process's commit

    def result(self, timeout: float | None = None) -> str:
        """Wait for the answer and return it. Raises `JobFailed`, `JobCancelled` or `JobLost`, with
        the text so far in `partial_text`, and `NotFinished` after `timeout` seconds."""
        self.wait(timeout)
        job, text = patiently(self._ended)
        if job.outcome is not model.Outcome.SUCCEEDED:
            raise unsuccessful(job, text)
        return text

    def thoughts(self, timeout: float | None = None) -> str:
        """Wait for the end, and return what the model thought; empty if it sent no thoughts. Also
        of a job that failed. Raises `NotFinished` after `timeout` seconds."""
        self.wait(timeout)
        return patiently(self._output).thoughts

    async def awaited(self, timeout: float | None = None) -> str:
        """`result` for asyncio: wait for the answer without blocking the event loop.
        Raises like `result`; cancelling the task ends the waiting, not the job."""
        from ktclient.api import async_wait  # and with it asyncio: for who uses that

        watcher = async_wait.EndWatcher(self.id, self._state)
        async for _ in watcher.looks(timeout):
            continue
        job, text = await watcher.answer()
        if job.outcome is not model.Outcome.SUCCEEDED:
            raise unsuccessful(job, text)
        return text

    async def awatch(self, timeout: float | None = None) -> AsyncIterator[Snapshot]:
        """`watch` for asyncio."""
        from ktclient.api import async_wait

        async for now, _ in async_wait.EndWatcher(self.id, self._state).looks(timeout):
            yield now

    async def astream(self) -> AsyncIterator[str]:
        """`stream` for asyncio."""
        from ktclient.api import async_wait

        async for _, text in async_wait.EndWatcher(self.id, self._state).looks(None):
            if text:
                yield text
        await self.awaited()

    def answers(self, timeout: float | None = None) -> list[Part]:
        """Wait for the answer to each question of the job and return them in order; empty for a
        summary or a prompt. An incomplete answer has no `text`. Raises like `result`."""
        from ktclient.prompts import combined
        from ktclient.prompts.combined import Part

        text, questions = self.result(timeout), self.status().questions
        if len(questions) == 1:
            return [Part(questions[0], text)]
        return combined.split(text, questions)

    def data(self, timeout: float | None = None) -> object:
        """Wait for the answer and return the JSON in it, which `schema` asked for; None if it
        contains none. Where it violates the schema is in `status().figures["schema_mismatch"]`.
        Raises like `result`."""
        from ktclient.prompts import answer_schema

        return answer_schema.data_or_none(self.result(timeout))

    def ask(self, question: str, *, thinking: bool | None = None, effort: str | None = None) -> Job:
        """A new job with another question about the same document, on the same server. `thinking`
        and `effort` are as for `submit_long`; None: as for this job. Raises what `submit_long`
        raises, and `StoreDamaged` if the document is missing."""
        from ktclient.submission import followup

        settings = self._settings or config.load()
        changes = followup.Changes(thinking=thinking, effort=effort)
        job_id = followup.ask(self.id, question, settings, changes).id
        return Job(job_id, settings)

    def hold(self) -> Snapshot:
        """Keep a queued job from starting until `release`; of a running one with parts, those that
        wait. Raises `IllegalTransition` if its request was sent, or it has ended."""
        from ktclient.submission import queue_control

        return self._changed(queue_control.hold)

    def release(self) -> Snapshot:
        """Let a held job start, at its old place in the queue. Raises `IllegalTransition` if it has
        ended."""
        from ktclient.submission import queue_control

        return self._changed(queue_control.release)

    def prioritize(self, priority: int | None = None) -> Snapshot:
        """Set the priority of a queued job, and of parts: higher starts first. None: before all
        others that wait. Raises `IllegalTransition` as `hold`, and `BadInput`."""
        from ktclient.submission import queue_control

        return self._changed(functools.partial(queue_control.prioritize, priority=priority))

    def edit(self, **changes: Unpack[Changed]) -> Snapshot:
        """Change a queued job. Options that are not given stay as they are; `label=""` removes the
        label, `at="now"` the start time. Raises `IllegalTransition` with the reason if it has
        started or ended, and what `submit_long` raises: then nothing is changed. Otherwise the
        changes hold for the request that is sent."""
        from ktclient.submission import renewal

        settings = self._settings or config.load()
        renewal.edit([self.id], changes_of(changes), settings)
        return self.status()

    def rerun(self, **changes: Unpack[Changed]) -> Job:
        """A new job like this one, whatever became of it, with these changes. Raises what
        `submit_long` raises; nothing is stored then."""
        from ktclient.submission import renewal

        settings = self._settings or config.load()
        (done,) = renewal.rerun([self.id], changes_of(changes), settings)
        return Job.known(done.id, settings)

    def _changed(
        self, change: Callable[[config.Settings, Sequence[str]], Mapping[str, str]]
    ) -> Snapshot:
        refused = change(self._settings or config.load(), [self.id])
        if refused:
            raise IllegalTransition(refused[self.id])
        return self.status()

    def cancel(self) -> Snapshot:
        """Request cancellation. A queued job ends immediately, a running one usually within a
        second or two: `wait` for it. After half a minute its worker is killed. No effect if it has
        ended."""
        with access.open_recovered(self._state) as store:
            now = snapshot.of_job(store, store.request_cancel(self.id))
            is_original = store.original is None
        if is_original and not now.is_finished:
            access.ensure_runner(self._state)  # it watches over the cancel
        return now

    def stream(self) -> Iterator[str]:
        """The answer as it arrives, from its start to its end. Raises like `result`. A second
        attempt starts again from the beginning. Thoughts of which only the end is marked are
        recognised when they end: `followed` says so, and `result` has only the answer."""
        for _, text in self.heard():
            if text:
                yield text
        self.result()

    def _require_running_here(self) -> None:
        access.require_running_here(self._state)

    def _ended(self) -> tuple[model.Job, str]:
        with access.open_recovered(self._state) as store:
            job = store.job(self.id)
            return job, snapshot.answer(store, job)

    def _is_thought_first(self, now: Snapshot) -> bool:
        def look() -> bool:
            with access.open_recovered(self._state) as store:
                return thinking.is_from_prompt(store, store.job(self.id), now.figures.get("model"))

        return patiently(look)

    def _output(self) -> Divided:
        with access.open_recovered(self._state) as store:
            return snapshot.output(store, store.job(self.id))

    def _pieces(self, attempt: int, after: int) -> list[model.Piece]:
        with access.open_recovered(self._state) as store:
            return store.pieces(self.id, attempt, after)

    def heard(self, *, from_now: bool = False) -> Iterator[tuple[Snapshot, str]]:
        """Like `watch`, but each status comes with the text of its attempt's answer since the
        previous one: from the beginning, or only `from_now` on. A second attempt starts again from
        the beginning."""
        for heard in self.followed(from_now=from_now):
            yield heard.now, heard.text

    def followed(self, *, from_now: bool = False) -> Iterator[Heard]:
        """The same; each also says whether the text so far was thought."""
        from ktclient.api.answer_reader import AnswerReader

        reader, is_skipped = AnswerReader(self._is_thought_first), from_now
        for now in self.watch():
            reader.begin(now)
            pieces = patiently(functools.partial(self._pieces, now.attempt, reader.after))
            heard = reader.take(now, pieces)
            yield replace(heard, text="") if is_skipped else heard
            is_skipped = False


def patiently(look: Callable[[], Value]) -> Value:
    """The result of `look`, tried again while the state directory is out of sight."""
    give_up = time.monotonic() + access.AWAY_SECONDS
    while True:
        try:
            return look()
        except KtjobError as error:
            is_over = time.monotonic() >= give_up
            if is_over or not access.is_away(error):
                raise
        time.sleep(_LOOK_SECONDS)


class Changed(TypedDict, total=False):
    """What `Job.edit` and `Job.rerun` may change, each as for `submit_long`."""

    ask: str
    max_tokens: int
    timeout: float
    server: str
    model: str
    thinking: bool
    effort: str
    label: str
    at: str | datetime


def changes_of(given: Changed) -> Changes:
    """The same for `submission.renewal`. Raises `BadInput` for a name that it does not know."""
    from ktclient.submission.changes import Changes

    if unknown := sorted(given.keys() - Changed.__annotations__.keys()):
        raise BadInput(f"{unknown[0]} cannot be changed; {', '.join(Changed.__annotations__)} can")
    renamed = {"question" if name == "ask" else name: value for name, value in given.items()}
    return Changes(**renamed)  # type: ignore[arg-type]


ENDINGS: dict[model.Outcome, type[JobUnsuccessful]] = {
    model.Outcome.FAILED: JobFailed,
    model.Outcome.CANCELLED: JobCancelled,
    model.Outcome.LOST: JobLost,
}


def unsuccessful(job: model.Job, partial_text: str) -> JobUnsuccessful:
    """The error for a job that ended without success."""
    assert job.outcome is not None
    kind = ENDINGS[job.outcome]
    return kind(f"job {job.id} {job.state.lower()}: {job.message}", partial_text)
