"""Handing a long request over."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ktclient.api.job import Job
from ktclient.batch import enqueue as batch_enqueue
from ktclient.batch import preflight
from ktclient.config import settings as config
from ktclient.documents import collection
from ktclient.documents import document as documents
from ktclient.documents.document import Document
from ktclient.errors import BadInput
from ktclient.notify import delivery
from ktclient.planning import split_planner
from ktclient.planning.options import MAX_ATTEMPTS, RequestOptions
from ktclient.prompts import answer_schema
from ktclient.prompts.instructions import Instructions, resolve
from ktclient.submission import conditions, enqueue
from ktclient.submission.options import SubmitOptions


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
    split: split_planner.Split = "auto",
    schema: Mapping[str, object] | None = None,
    template: str | None = None,
    variables: Mapping[str, str] | None = None,
    label: str | None = None,
    after: Sequence[str | Job] = (),
    at: str | datetime | None = None,
    notify: Sequence[str] = (),
    on_done: str | None = None,
    host: str | None = None,
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
    With a `host` the document goes to that machine over ssh and the job is there: `FarJob`.
    `split`: a document that is too long for one request is read in parts ("auto"), refused
    ("never"), or any longer than so many tokens is read in parts of that size.

    Raises the leaves of `ktclient.errors` named at `submission.enqueue`; nothing is stored then.
    """
    given = {**locals()}
    if host is not None:
        from ktclient.api import remote_job

        return remote_job.submit(host, document, given)[0]
    settings = config.load()
    instructions = Instructions(
        summarize=summarize,
        ask=() if ask is None else (ask,),
        prompt=prompt,
        template=template,
        variables=variables or {},
        schema="" if schema is None else answer_schema.validate(schema),
        system=system,
        temperature=temperature,
        thinking=thinking,
        max_tokens=max_tokens,
    )
    request = RequestOptions((), None, timeout, model, server, max_attempts, split=split)
    targets = delivery.parse_targets(notify, on_done, settings)
    options = SubmitOptions(request, priority, conditions_of(label, after, at), targets)
    read = _document(document, raw, encoding)
    return _enqueue(read, _with_tasks(options, instructions, settings), settings)[0]


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
    split: split_planner.Split = "auto",
    schema: Mapping[str, object] | None = None,
    label: str | None = None,
    after: Sequence[str | Job] = (),
    at: str | datetime | None = None,
    notify: Sequence[str] = (),
    on_done: str | None = None,
    host: str | None = None,
) -> list[Job]:
    """Ask several questions about one document and return at once: one job each, in order, all of
    them stored or none. A server with a prefix cache reads the document once for all.

    `together` makes one job of them, for servers without one: `answers()` takes its answer apart.
    `max_tokens` bounds the answer of each job; without it 1024 for each question. The rest is as
    for `submit_long`, also what it raises; `BadInput` too for no question at all.
    """
    given = {**locals()}
    if isinstance(questions, str) or not questions:
        raise BadInput("questions must be a list of at least one question")
    if host is not None:
        from ktclient.api import remote_job

        return list(remote_job.submit(host, document, given))
    settings = config.load()
    instructions = Instructions(
        ask=questions,
        together=together and len(questions) > 1,
        schema="" if schema is None else answer_schema.validate(schema),
        system=system,
        temperature=temperature,
        thinking=thinking,
        max_tokens=max_tokens,
    )
    request = RequestOptions((), None, timeout, model, server, max_attempts, split=split)
    targets = delivery.parse_targets(notify, on_done, settings)
    options = SubmitOptions(request, priority, conditions_of(label, after, at), targets)
    read = _document(document, raw, encoding)
    return _enqueue(read, _with_tasks(options, instructions, settings), settings)


def _with_tasks(
    options: SubmitOptions, instructions: Instructions, settings: config.Settings
) -> SubmitOptions:
    """The options with what is asked. Raises `BadInput` and `BadSetting`."""
    tasks, generation, max_tokens = resolve(instructions, settings.config_file)
    request = replace(options.request, tasks=tasks, generation=generation, max_tokens=max_tokens)
    return replace(options, request=request)


def conditions_of(
    label: str | None, after: Sequence[str | Job], at: str | datetime | None
) -> conditions.Conditions:
    """Of jobs and ids alike. Raises `BadInput`."""
    given = [after] if isinstance(after, (str, Job)) else after
    ids = [one.id if isinstance(one, Job) else one for one in given]
    return conditions.conditions(label, ids, at)


def _enqueue(document: Document, options: SubmitOptions, settings: config.Settings) -> list[Job]:
    return [Job(id_, settings) for id_, _ in enqueue.enqueue(document, options, settings)]


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


def submit_batch(  # noqa: PLR0913 - its options are its interface, as with submit_long
    path: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str],
    errors: str | os.PathLike[str] | None = None,
    max_tokens: int | None = None,
    timeout: float | None = None,
    model: str | None = None,
    server: str | None = None,
    max_attempts: int = MAX_ATTEMPTS,
    priority: int = 0,
    retry_failed: bool = False,
    label: str | None = None,
    after: Sequence[str] = (),
    at: str | datetime | None = None,
    notify: Sequence[str] = (),
    on_done: str | None = None,
) -> Job:
    """Run a file of requests in OpenAI's Batch format; returns at once with a job for all of them.

    When all have ended, `output` has a line for each, in order; those that failed go to `errors`,
    if that is named. `max_tokens` is the most of any answer, whatever a request says; without it
    what each says, or 1024. Without `model` it is the one that a request names, if the server has
    it, else what the server serves. Called again with the same `output`, also after a crash and
    with a file that was changed, it asks nothing twice: what was answered under a custom_id, to the
    same body, stays. Lines that failed stay too, unless `retry_failed`. `label`, `after`, `at`,
    `notify` and `on_done` are as for `submit_long`.

    Raises the leaves of `ktclient.errors` named at `batch.enqueue`; nothing is stored then.
    `Job.result()` raises `JobFailed` when a line failed, with all results in `partial_text`.
    """
    settings = config.load()
    options = preflight.Options(
        os.fspath(output),
        None if errors is None else os.fspath(errors),
        max_tokens,
        timeout,
        model,
        server,
        max_attempts,
        priority,
        retry_failed,
        conditions.conditions(label, after, at),
        delivery.parse_targets(notify, on_done, settings),
    )
    handed = batch_enqueue.hand_over(os.fspath(path), options, settings)
    return Job(handed.job_id, settings)


def submit_files(  # noqa: PLR0913 - its options are its interface
    paths: Sequence[str | os.PathLike[str]],
    *,
    join: bool = False,
    summarize: bool = False,
    ask: str | Sequence[str] | None = None,
    together: bool = False,
    prompt: str | None = None,
    template: str | None = None,
    variables: Mapping[str, str] | None = None,
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
    split: split_planner.Split = "auto",
    schema: Mapping[str, object] | None = None,
    label: str | None = None,
    after: Sequence[str | Job] = (),
    at: str | datetime | None = None,
    notify: Sequence[str] = (),
    on_done: str | None = None,
) -> list[Job]:
    """Submit files, the text files of folders, and what patterns (`"notes/**/*.md"`) match; all of
    them or none. Returns at once: a job for each file in order, and within it for each question of
    `ask`; with `join` the files are one document.

    What of a folder is no text is passed over, and logged by `ktjob` at level INFO. The rest is as
    for `submit_long` and `submit_questions`, also what it raises.
    """
    if isinstance(paths, (str, os.PathLike)) or not paths:
        raise BadInput("paths must be a list of at least one file or folder")
    asks = [ask] if isinstance(ask, str) else list(ask or ())
    instructions = Instructions(
        summarize=summarize,
        ask=asks,
        prompt=prompt,
        together=together,
        template=template,
        variables=variables or {},
        schema="" if schema is None else answer_schema.validate(schema),
        system=system,
        temperature=temperature,
        thinking=thinking,
        max_tokens=max_tokens,
    )
    settings = config.load()
    request = RequestOptions((), None, timeout, model, server, max_attempts, split=split)
    targets = delivery.parse_targets(notify, on_done, settings)
    options = SubmitOptions(request, priority, conditions_of(label, after, at), targets)
    names = [_name(path) for path in paths]
    given = collection.gather(names, join=join, raw=raw, encoding=encoding)
    for name in given.passed_over:
        logging.getLogger("ktjob").info("passed over, no text or empty: %s", name)
    handed = enqueue.enqueue_all(
        given.documents, _with_tasks(options, instructions, settings), settings
    )
    return [Job(job_id, settings) for job_id, _ in handed]


def _name(path: str | os.PathLike[str]) -> str:
    """A file called "-" is no standard input here."""
    name = os.fspath(path)
    return "./-" if name == documents.STDIN else name
