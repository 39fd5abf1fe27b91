"""Submit long requests from Python."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from ktclient import hidden
from ktclient.api.job import Job
from ktclient.api.selection import Selection
from ktclient.batch import enqueue as batch_enqueue
from ktclient.batch import preflight
from ktclient.config import settings as config
from ktclient.documents import collection, file_name
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


@hidden.InWords()
def submit_long(  # noqa: PLR0913 - the product's one call: its options are its interface
    document: str | os.PathLike[str] | None = None,
    *,
    summarize: bool = False,
    ask: str | None = None,
    prompt: str | None = None,
    text: str | None = None,
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
    effort: str | None = None,
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
    """Submit one document and return immediately; a detached process does the rest.

    `document` is a path object (`pathlib.Path`) of a file to read, or the text itself. A string
    that looks like a file name, a path or a URL is refused, because it would be sent as these
    words; `text`, in place of `document`, is sent as it is. Choose one of `summarize` (the
    default), `ask` (a question) and `prompt` (your own instruction, placed after the document), or
    name a `template`, with its `variables`.

    `max_tokens` limits the answer; the default is 1024, unless the template sets another. `timeout`
    is in seconds for the whole request; the default is twice the estimated prefill time, and at
    least an hour. `server` is a URL, a configured name, "embedded", or "any" (the best of several);
    the default is the configured server, else one that answers on this machine, else the embedded
    one. `raw` keeps CRLFs and a byte order mark.
    `encoding` is that of a file; the default is UTF-8, or detected by its byte order mark or
    content. `max_attempts` counts requests that were sent: a retry is automatic only if the worker
    or the server died, and only after the server has stopped processing the earlier request. Jobs
    of a higher `priority` start first. `system` is a system prompt, `temperature` from 0 to 2,
    `thinking` switches the model's thinking on or off, and `effort` ("low", "medium", "high" or
    "max") turns it on; None values are not sent. With `schema`, a
    JSON Schema, the answer is JSON that follows it: `Job.data()`. `label` is a label to filter by.
    The job starts after all jobs in `after` have succeeded, and fails if one of them does not. It
    starts no earlier than `at`: a datetime (local time, if it has no zone), or as on the command
    line, "22:00" or "+2h". `notify` names notification targets, `on_done` is a command to run; both
    at the job's end. With a `host`, the document goes to that machine over ssh and the job runs
    there: `FarJob`. `split`: a document that is too long for one request is split into parts
    ("auto") or refused ("never"); a number of tokens splits any longer document into parts of that
    size.

    Raises the leaves of `ktclient.errors` named at `submission.enqueue`; nothing is stored then.
    """
    given = {**locals()}
    if host is not None:
        from ktclient.api import remote_job

        return remote_job.submit(host, file_name.source(document, text), given)[0]
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
        effort=effort,
        max_tokens=max_tokens,
    )
    request = RequestOptions((), None, timeout, model, server, max_attempts, split=split)
    targets = delivery.parse_targets(notify, on_done, settings)
    options = SubmitOptions(request, priority, conditions_of(label, after, at), targets)
    read = _document(file_name.source(document, text), raw, encoding)
    return _enqueue(read, _with_tasks(options, instructions, settings), settings)[0]


@hidden.InWords()
def submit_questions(  # noqa: PLR0913 - as above
    document: str | os.PathLike[str] | None = None,
    questions: Sequence[str] = (),
    *,
    text: str | None = None,
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
    effort: str | None = None,
    split: split_planner.Split = "auto",
    schema: Mapping[str, object] | None = None,
    label: str | None = None,
    after: Sequence[str | Job] = (),
    at: str | datetime | None = None,
    notify: Sequence[str] = (),
    on_done: str | None = None,
    host: str | None = None,
) -> list[Job]:
    """Ask several questions about one document and return immediately: one job each, in order, all
    of them stored or none. A server with a prefix cache prefills the document once for all.

    `together` makes one job of them, for servers without a prefix cache: `answers()` separates its
    answers. `max_tokens` limits the answer of each job; the default is 1024 for each question.
    Other parameters and errors are as for `submit_long`; raises `BadInput` also if there is no
    question.
    """
    given = {**locals()}
    if isinstance(questions, str) or not questions:
        raise BadInput("questions must be a list of at least one question")
    if host is not None:
        from ktclient.api import remote_job

        return list(remote_job.submit(host, file_name.source(document, text), given))
    settings = config.load()
    instructions = Instructions(
        ask=questions,
        together=together and len(questions) > 1,
        schema="" if schema is None else answer_schema.validate(schema),
        system=system,
        temperature=temperature,
        thinking=thinking,
        effort=effort,
        max_tokens=max_tokens,
    )
    request = RequestOptions((), None, timeout, model, server, max_attempts, split=split)
    targets = delivery.parse_targets(notify, on_done, settings)
    options = SubmitOptions(request, priority, conditions_of(label, after, at), targets)
    read = _document(file_name.source(document, text), raw, encoding)
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
    """The conditions, from jobs or ids. Raises `BadInput`."""
    given = [after] if isinstance(after, (str, Job)) else after
    ids = [one.id if isinstance(one, Job) else one for one in given]
    return conditions.conditions(label, ids, at)


def _enqueue(document: Document, options: SubmitOptions, settings: config.Settings) -> Selection:
    handed = enqueue.enqueue(document, options, settings)
    return Selection.of_ids((job_id for job_id, _ in handed), settings)


def _document(given: str | os.PathLike[str], raw: bool, encoding: str | None) -> Document:
    if not isinstance(given, str):
        return documents.read(os.fspath(given), raw=raw, encoding=encoding)
    return documents.from_text(given, "text", raw=raw)


@hidden.InWords()
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
    force: bool = False,
) -> Job:
    """Run a file of requests in OpenAI's Batch format; returns immediately with one job for all.

    When all requests have ended, `output` has a line for each, in order; failed ones go to `errors`
    instead, if that is given. `max_tokens` limits every answer, even if a request sets more;
    without it each request's own value applies, or 1024. Without `model`, a request's own model is
    used if the server has it, else the model that the server serves.

    Called again with the same `output`, even after a crash or with a changed file, it sends no
    answered request again: the answer to the same body under the same custom_id is kept. Failed
    lines are kept too, unless `retry_failed`. `label`, `after`, `at`, `notify` and `on_done` are as
    for `submit_long`. An `output` that would be lost, as no stored batch wrote it, is refused
    unless `force`.

    Raises the leaves of `ktclient.errors` named at `batch.enqueue`; nothing is stored then.
    `Job.result()` raises `JobFailed` if a line failed, with all results in `partial_text`.
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
        force=force,
    )
    handed = batch_enqueue.enqueue(os.fspath(path), options, settings)
    return Job(handed.job_id, settings)


@hidden.InWords()
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
    effort: str | None = None,
    split: split_planner.Split = "auto",
    schema: Mapping[str, object] | None = None,
    label: str | None = None,
    after: Sequence[str | Job] = (),
    at: str | datetime | None = None,
    notify: Sequence[str] = (),
    on_done: str | None = None,
) -> Selection:
    """Submit files, the text files of folders, and what patterns (`"notes/**/*.md"`) match; all of
    them or none. Returns immediately: one job for each file in order, and within it for each
    question of `ask`; with `join` the files are one document.

    Files of a folder that are not text are skipped, and logged by `ktjob` at level INFO. Other
    parameters and errors are as for `submit_long` and `submit_questions`.
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
        effort=effort,
        max_tokens=max_tokens,
    )
    settings = config.load()
    request = RequestOptions((), None, timeout, model, server, max_attempts, split=split)
    targets = delivery.parse_targets(notify, on_done, settings)
    options = SubmitOptions(request, priority, conditions_of(label, after, at), targets)
    names = [_name(path) for path in paths]
    given = collection.gather(names, join=join, raw=raw, encoding=encoding)
    for name in given.passed_over:
        logging.getLogger("ktjob").info("skipped, binary or empty: %s", name)
    handed = enqueue.enqueue_all(
        given.documents, _with_tasks(options, instructions, settings), settings
    )
    return Selection.of_ids((job_id for job_id, _ in handed), settings)


def _name(path: str | os.PathLike[str]) -> str:
    """A file called "-", which must not mean standard input here."""
    name = os.fspath(path)
    return "./-" if name == documents.STDIN else name
