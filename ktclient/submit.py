"""Handing a long request over, and the handle on what becomes of it."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from jobs import model
from ktclient import (
    awaiting,
    beyond,
    conditions,
    config,
    documents,
    handover,
    snapshot,
    structured,
    telling,
    together,
    truth,
)
from ktclient.documents import Document
from ktclient.errors import (
    BadInput,
    JobCancelled,
    JobFailed,
    JobLost,
    JobUnsuccessful,
    NotFinished,
)
from ktclient.handover import MAX_ATTEMPTS, Options
from ktclient.snapshot import Snapshot
from ktclient.together import Answer
from ktclient.wish import Wish, resolved

_LOOK_SECONDS = 0.2


def submit_long(  # noqa: PLR0913 - the product's one call: its options are its interface
    document: str | os.PathLike[str],
    *,
    summarize: bool = False,
    ask: str | None = None,
    prompt: str | None = None,
    max_tokens: int | None = None,
    timeout: float | None = None,
    model: str | None = None,
    server: str | None = None,
    raw: bool = False,
    max_attempts: int = MAX_ATTEMPTS,
    priority: int = 0,
    encoding: str | None = None,
    system: str | None = None,
    temperature: float | None = None,
    thinking: bool | None = None,
    split: beyond.Split = "auto",
    schema: Mapping[str, object] | None = None,
    template: str | None = None,
    variables: Mapping[str, str] | None = None,
    label: str | None = None,
    after: Sequence[str | Job] = (),
    at: str | datetime | None = None,
    notify: Sequence[str] = (),
    on_done: str | None = None,
) -> Job:
    """Submit one document and return at once; a detached process does the rest.

    `document` is the text itself, or a path object (`pathlib.Path`) of a file to read. Choose
    one of `summarize` (the default), `ask` (a question) and `prompt` (your own instruction,
    after the document), or name a `template`, with its `variables`. `max_tokens` bounds the answer,
    1024 unless the template says; `timeout` is in seconds for the whole
    request; without it, twice the time that reading may take, and an hour at least. `server` is a
    URL or "embedded"; without it the configured one, else one that answers on this machine, else
    the embedded one. `raw` keeps CRLFs and a byte order mark.
    `encoding` is that of a file; without it UTF-8, by its mark, or guessed.
    `max_attempts` counts tries that were sent: another follows by itself only when the worker or
    the server died, and only once the server has been seen to be done with the one before.
    Jobs of a higher `priority` start first. `system` is a system prompt, `temperature` from 0 to 2,
    `thinking` lets the model think first or not; what is None is not sent.
    With `schema`, a JSON Schema, the answer is JSON that follows it: `Job.data()`.
    `label` is a word of yours. The job starts once all jobs of `after` have succeeded, and fails
    when one does not; not before `at`: a datetime (local time, if it has no zone), or as on the
    command line, "22:00" or "+2h".
    `notify` names whom to notify of its end, `on_done` is a command to run then.
    `split`: a document that is too long for one request is read in parts ("auto"), refused
    ("never"), or any longer than so many tokens is read in parts of that size.

    Raises the leaves of `ktclient.errors` named at `hand_over`; nothing is stored then.
    """
    wish = Wish(
        summarize=summarize,
        ask=() if ask is None else (ask,),
        prompt=prompt,
        template=template,
        variables=variables or {},
        schema="" if schema is None else structured.checked(schema),
        system=system,
        temperature=temperature,
        thinking=thinking,
        max_tokens=max_tokens,
    )
    options = Options(
        (),
        None,
        timeout,
        model,
        server,
        max_attempts,
        priority,
        conditions=conditions_of(label, after, at),
        tellings=telling.wished(notify, on_done, config.load()),
        split=split,
    )
    return _handed(_document(document, raw, encoding), wished(options, wish))[0]


def submit_questions(  # noqa: PLR0913 - as above
    document: str | os.PathLike[str],
    questions: Sequence[str],
    *,
    together: bool = False,
    max_tokens: int | None = None,
    timeout: float | None = None,
    model: str | None = None,
    server: str | None = None,
    raw: bool = False,
    max_attempts: int = MAX_ATTEMPTS,
    priority: int = 0,
    encoding: str | None = None,
    system: str | None = None,
    temperature: float | None = None,
    thinking: bool | None = None,
    split: beyond.Split = "auto",
    schema: Mapping[str, object] | None = None,
    label: str | None = None,
    after: Sequence[str | Job] = (),
    at: str | datetime | None = None,
    notify: Sequence[str] = (),
    on_done: str | None = None,
) -> list[Job]:
    """Ask several questions about one document and return at once: one job each, in order, all of
    them stored or none. A server with a prefix cache reads the document once for all.

    `together` makes one job of them, for servers without one: `answers()` takes its answer apart.
    `max_tokens` bounds the answer of each job; without it 1024 for each question. The rest is as
    for `submit_long`, also what it raises; `BadInput` too for no question at all.
    """
    if isinstance(questions, str) or not questions:
        raise BadInput("questions must be a list of at least one question")
    wish = Wish(
        ask=questions,
        together=together and len(questions) > 1,
        schema="" if schema is None else structured.checked(schema),
        system=system,
        temperature=temperature,
        thinking=thinking,
        max_tokens=max_tokens,
    )
    options = Options(
        (),
        None,
        timeout,
        model,
        server,
        max_attempts,
        priority,
        conditions=conditions_of(label, after, at),
        tellings=telling.wished(notify, on_done, config.load()),
        split=split,
    )
    return _handed(_document(document, raw, encoding), wished(options, wish))


def wished(options: Options, wish: Wish) -> Options:
    """The options with what is wanted. Raises `BadInput` and `BadSetting`."""
    asked, manner, most = resolved(wish, config.load().config_file)
    return replace(options, tasks=asked, manner=manner, max_tokens=most)


def conditions_of(
    label: str | None, after: Sequence[str | Job], at: str | datetime | None
) -> conditions.Conditions:
    """Of jobs and ids alike. Raises `BadInput`."""
    given = [after] if isinstance(after, (str, Job)) else after
    ids = [one.id if isinstance(one, Job) else one for one in given]
    return conditions.conditions(label, ids, at)


def _handed(document: Document, options: Options) -> list[Job]:
    settings = config.load()
    return [Job(id_, settings) for id_, _ in handover.hand_over(document, options, settings)]


def _document(given: str | os.PathLike[str], raw: bool, encoding: str | None) -> Document:
    if not isinstance(given, str):
        return documents.read(os.fspath(given), raw=raw, encoding=encoding)
    if _names_a_file(given):
        raise BadInput(f"{given!r} is the name of a file: pass pathlib.Path({given!r}) to read it")
    return documents.from_text(given, "text", raw=raw)


def _names_a_file(text: str) -> bool:
    try:
        return len(text) < 1000 and "\n" not in text and Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or with characters that no name has
        return False


class Job:
    """A handle on a submitted job. Holds nothing but its id: make one from an id at any time."""

    def __init__(self, job_id: str, settings: config.Settings | None = None) -> None:
        self._settings = settings or config.load()
        with truth.told(self._settings.state) as store:
            self.id: str = store.find(job_id).id

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    def _repr_html_(self) -> str:
        """For notebooks: what is true at this moment."""
        return self.status()._repr_html_()

    def status(self) -> Snapshot:
        """What is true now: a job whose worker has died is not called running."""
        with truth.told(self._settings.state) as store:
            return snapshot.take(store, store.job(self.id))

    def wait(self, timeout: float | None = None) -> Job:
        """Return when the job has ended, however. Raises `NotFinished` after `timeout` seconds;
        the job goes on."""
        for _ in self.watch(timeout):
            continue
        return self

    def watch(self, timeout: float | None = None) -> Iterator[Snapshot]:
        """Like `wait`, yielding the status several times a second; the last one is the end."""
        give_up = None if timeout is None else time.monotonic() + timeout
        while True:
            now = self.status()
            yield now
            if now.is_finished:
                return
            if give_up is not None and time.monotonic() >= give_up:
                raise NotFinished(
                    f"job {self.id} has not finished within {timeout:g} s; it goes on"
                )
            time.sleep(_LOOK_SECONDS)  # SQLite has no event for another process's commit

    def result(self, timeout: float | None = None) -> str:
        """The answer, waiting for it first. Raises `JobFailed`, `JobCancelled` or `JobLost`, with
        the text until then in `partial_text`, and `NotFinished` after `timeout` seconds."""
        self.wait(timeout)
        with truth.told(self._settings.state) as store:
            job = store.job(self.id)
            text = snapshot.answer(store, job)
        if job.outcome is not model.Outcome.SUCCEEDED:
            raise unsuccessful(job, text)
        return text

    async def awaited(self, timeout: float | None = None) -> str:
        """`result` for asyncio: the answer, waiting for it without holding up the event loop.
        Raises like `result`; cancelling the task cancels the waiting, not the job."""
        watcher = awaiting.Watcher(self.id, self._settings)
        async for _ in watcher.looks(timeout):
            continue
        job, text = await watcher.answer()
        if job.outcome is not model.Outcome.SUCCEEDED:
            raise unsuccessful(job, text)
        return text

    async def awatch(self, timeout: float | None = None) -> AsyncIterator[Snapshot]:
        """`watch` for asyncio."""
        async for now, _ in awaiting.Watcher(self.id, self._settings).looks(timeout):
            yield now

    async def astream(self) -> AsyncIterator[str]:
        """`stream` for asyncio."""
        async for _, text in awaiting.Watcher(self.id, self._settings).looks(None):
            if text:
                yield text
        await self.awaited()

    def answers(self, timeout: float | None = None) -> list[Answer]:
        """The answer to each question of the job, in order, waiting for them first; none for a
        summary or a prompt. One that did not come whole has no `text`. Raises like `result`."""
        text, questions = self.result(timeout), self.status().questions
        if len(questions) == 1:
            return [Answer(questions[0], text)]
        return together.split(text, questions)

    def data(self, timeout: float | None = None) -> object:
        """The JSON in the answer, waiting for it first: what `schema` asked for. None where there
        is none in it. In what it does not follow the schema is in
        `status().figures["schema_mismatch"]`. Raises like `result`."""
        return structured.data_or_none(self.result(timeout))

    def ask(self, question: str) -> Job:
        """A new job with another question about the same document, to the same server. Raises what
        `submit_long` raises, and `StoreDamaged` where the document is gone."""
        from ktclient import asking

        job_id, _ = asking.ask(self.id, question, self._settings)
        return Job(job_id, self._settings)

    def cancel(self) -> Snapshot:
        """Wish for the job's end. A queued job ends at once, a running one within a second or
        two; `wait` for it. Harmless when it has ended."""
        with truth.told(self._settings.state) as store:
            return snapshot.take(store, store.request_cancel(self.id))

    def stream(self) -> Iterator[str]:
        """The answer as it arrives, from its beginning, to its end. Raises like `result`. A
        second attempt begins again from the beginning."""
        for _, text in self.heard():
            if text:
                yield text
        self.result()

    def heard(self, *, from_now: bool = False) -> Iterator[tuple[Snapshot, str]]:
        """Like `watch`, each status with what of its attempt's answer arrived since the one before
        it: from the beginning, or only `from_now` on. A second attempt begins again from the
        beginning."""
        after, attempt = 0, 0
        is_skipped = from_now
        for now in self.watch():
            if now.attempt != attempt:
                after, attempt = 0, now.attempt
            with truth.told(self._settings.state) as store:
                pieces = store.pieces(self.id, now.attempt, after)
            after = pieces[-1].seq if pieces else after
            text = "".join(piece.text for piece in pieces if piece.channel == "answer")
            yield now, "" if is_skipped else text
            is_skipped = False


_ENDINGS: dict[model.Outcome, type[JobUnsuccessful]] = {
    model.Outcome.FAILED: JobFailed,
    model.Outcome.CANCELLED: JobCancelled,
    model.Outcome.LOST: JobLost,
}


def unsuccessful(job: model.Job, partial_text: str) -> JobUnsuccessful:
    """The error that tells how a job ended."""
    assert job.outcome is not None
    kind = _ENDINGS[job.outcome]
    return kind(f"job {job.id} {job.state.lower()}: {job.message}", partial_text)
