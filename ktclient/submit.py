"""Handing a long request over, and the handle on what becomes of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from jobs import model
from jobs.model import Capacity, NewJob
from jobs.store import Store
from ktclient import config, documents, snapshot, tasks, truth
from ktclient import forecast as forecasts
from ktclient.documents import Document
from ktclient.errors import (
    BadInput,
    JobCancelled,
    JobFailed,
    JobLost,
    JobUnsuccessful,
    NotFinished,
)
from ktclient.forecast import Forecast
from ktclient.servers import choose
from ktclient.servers.choose import Target
from ktclient.servers.dialect import ServerFacts
from ktclient.snapshot import Snapshot
from ktclient.spec import JobSpec
from ktclient.tasks import Task
from server_bundle import embedded

MAX_TOKENS = 1024
"""The deployment guide's figure for a summary."""
MAX_ATTEMPTS = 2
"""One more try by itself, when the worker or the server died; none for anything answered."""
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Options:
    """How to ask."""

    task: Task
    max_tokens: int = MAX_TOKENS
    timeout: float | None = None
    model: str | None = None
    server: str | None = None
    max_attempts: int = MAX_ATTEMPTS
    priority: int = 0


def submit(
    document: Document,
    options: Options,
    settings: config.Settings,
    on_progress: embedded.Progress = lambda what, done, total: None,
    on_stored: Callable[[str], None] = lambda job_id: None,
) -> tuple[Job, Forecast]:
    """Check everything that can be checked now, store the job, make sure that the runner lives.

    `on_progress` is told about downloads, which happen here only when the embedded model's own
    tokenizer is needed to say whether the document fits. `on_stored` is told the id as soon as the
    job is on disk: from then on it runs, whatever becomes of the caller.

    Raises `BadInput`, `NoServer` and its leaves, `Unauthorized`, `WrongAddress`, `DoesNotFit` and
    `StoreUnusable`: nothing is stored then. Once it is stored it raises nothing: without a runner
    the next command starts one.
    """
    before = forecast(document, options, settings, on_progress)
    before.verdict.require()
    target = before.target
    spec = JobSpec(
        task=options.task,
        server=target.server,
        model=options.model or settings.model,
        max_tokens=options.max_tokens,
        timeout=before.deadline,
    )
    new = NewJob(
        pool=target.server,
        spec=spec.to_json(),
        document=document.text.encode(),
        title=document.title,
        weight=before.count.high + options.max_tokens,
        max_attempts=options.max_attempts,
        priority=options.priority,
    )
    with Store.open(settings.state) as store:
        stored = store.submit(new, _capacity(store, target))
    on_stored(stored.id)
    truth.serve(settings.state)
    return Job(stored.id, settings), before


def _check(options: Options) -> None:
    if options.max_tokens < 1:
        raise BadInput(f"max_tokens must be at least 1, not {options.max_tokens}")
    if options.max_attempts < 1:
        raise BadInput(f"max_attempts must be at least 1, not {options.max_attempts}")
    if options.timeout is not None and not 0 < options.timeout < float("inf"):
        raise BadInput(f"timeout must be a number of seconds above 0, not {options.timeout}")


def forecast(
    document: Document,
    options: Options,
    settings: config.Settings,
    on_progress: embedded.Progress = lambda what, done, total: None,
) -> Forecast:
    """What `submit` looks at first, and nothing else: stores nothing. Raises the same, but for
    `DoesNotFit`: the verdict says it."""
    _check(options)
    target = choose.choose(settings, options.server, options.model)
    message = tasks.message(document.text, options.task)
    return forecasts.make(
        message, options.max_tokens, options.timeout, target, settings, on_progress
    )


def _capacity(store: Store, target: Target) -> Capacity:
    """What the server may be given at once: as many as configured, else as it told, else one. What
    it did not tell this time, because it was busy, it may have told before."""
    facts = target.facts
    known = store.capacities().get(target.server, Capacity()) if _is_untold(facts) else Capacity()
    if facts is None or known.tokens is not None:
        return Capacity(known.tokens, target.parallel or known.slots or 1, known.affinity)
    slots = target.parallel or facts.max_running or 1
    return Capacity(facts.pool, slots, bool(facts.has_prefix_cache))


def _is_untold(facts: ServerFacts | None) -> bool:
    return facts is None or facts.pool is None


def submit_long(  # noqa: PLR0913 - the product's one call: its options are its interface
    document: str | os.PathLike[str],
    *,
    summarize: bool = False,
    ask: str | None = None,
    prompt: str | None = None,
    max_tokens: int = MAX_TOKENS,
    timeout: float | None = None,
    model: str | None = None,
    server: str | None = None,
    raw: bool = False,
    max_attempts: int = MAX_ATTEMPTS,
) -> Job:
    """Submit one document and return at once; a detached process does the rest.

    `document` is the text itself, or a path object (`pathlib.Path`) of a file to read. Choose
    one of `summarize` (the default), `ask` (a question) and `prompt` (your own instruction,
    after the document). `max_tokens` bounds the answer; `timeout` is in seconds for the whole
    request; without it, twice the time that reading may take, and an hour at least. `server` is a
    URL or "embedded"; without it the configured one, else one that answers on this machine, else
    the embedded one. `raw` keeps CRLFs and a byte order mark.
    `max_attempts` counts tries that were sent: another follows by itself only when the worker or
    the server died, and only once the server has been seen to be done with the one before.

    Raises the leaves of `ktclient.errors` named at `submit`; nothing is stored then.
    """
    task = tasks.task(summarize, ask, prompt)
    options = Options(task, max_tokens, timeout, model, server, max_attempts)
    job, _ = submit(_document(document, raw), options, config.load())
    return job


def _document(given: str | os.PathLike[str], raw: bool) -> Document:
    if not isinstance(given, str):
        return documents.read(os.fspath(given), raw=raw)
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

    def ask(self, question: str) -> Job:
        """A new job with another question about the same document, to the same server."""
        from ktclient import asking

        return Job(asking.ask(self.id, question, self._settings), self._settings)

    def cancel(self) -> Snapshot:
        """Wish for the job's end. A queued job ends at once, a running one within a second or
        two; `wait` for it. Harmless when it has ended."""
        with truth.told(self._settings.state) as store:
            return snapshot.take(store, store.request_cancel(self.id))

    def stream(self) -> Iterator[str]:
        """The answer as it arrives, from its beginning, to its end. Raises like `result`. A
        second attempt begins again from the beginning."""
        after, attempt = 0, 0
        for now in self.watch():
            if now.attempt != attempt:
                after, attempt = 0, now.attempt
            with truth.told(self._settings.state) as store:
                pieces = store.pieces(self.id, now.attempt, after)
            for piece in pieces:
                after = piece.seq
                if piece.channel == "answer":
                    yield piece.text
        self.result()


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
