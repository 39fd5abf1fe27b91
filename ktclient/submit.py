"""Submit long requests from Python."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ktclient import (
    beyond,
    conditions,
    config,
    documents,
    handover,
    structured,
    telling,
)
from ktclient.documents import Document
from ktclient.errors import BadInput
from ktclient.handover import MAX_ATTEMPTS, Options
from ktclient.job import Job as Job
from ktclient.wish import Wish, resolved


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
    host: str | None = None,
) -> Job:
    """Submit one document and return immediately; a detached process does the rest.

    `document` is the text itself, or a path object (`pathlib.Path`) of a file to read. Choose
    one of `summarize` (the default), `ask` (a question) and `prompt` (your own instruction,
    placed after the document), or name a `template`, with its `variables`.

    `max_tokens` limits the answer; the default is 1024, unless the template sets another. `timeout`
    is in seconds for the whole request; the default is twice the estimated prefill time, and at
    least an hour. `server` is a URL or "embedded"; the default is the configured server, else one
    that answers on this machine, else the embedded one. `raw` keeps CRLFs and a byte order mark.
    `encoding` is that of a file; the default is UTF-8, or detected by its byte order mark or
    content. `max_attempts` counts requests that were sent: a retry is automatic only if the worker
    or the server died, and only after the server has stopped processing the earlier request. Jobs
    of a higher `priority` start first. `system` is a system prompt, `temperature` from 0 to 2,
    `thinking` switches the model's thinking on or off; None values are not sent. With `schema`, a
    JSON Schema, the answer is JSON that follows it: `Job.data()`. `label` is a label to filter by.
    The job starts after all jobs in `after` have succeeded, and fails if one of them does not. It
    starts no earlier than `at`: a datetime (local time, if it has no zone), or as on the command
    line, "22:00" or "+2h". `notify` names notification targets, `on_done` is a command to run; both
    at the job's end. With a `host`, the document goes to that machine over ssh and the job runs
    there: `FarJob`. `split`: a document that is too long for one request is split into parts
    ("auto") or refused ("never"); a number of tokens splits any longer document into parts of that
    size.

    Raises the leaves of `ktclient.errors` named at `hand_over_all`; nothing is stored then.
    """
    given = {**locals()}
    if host is not None:
        from ktclient import far

        return far.submit(host, document, given)[0]
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
        from ktclient import far

        return list(far.submit(host, document, given))
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
    """The options with the resolved tasks. Raises `BadInput` and `BadSetting`."""
    asked, manner, most = resolved(wish, config.load().config_file)
    return replace(options, tasks=asked, manner=manner, max_tokens=most)


def conditions_of(
    label: str | None, after: Sequence[str | Job], at: str | datetime | None
) -> conditions.Conditions:
    """The conditions, from jobs or ids. Raises `BadInput`."""
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
    except (OSError, ValueError):  # too long for a file name, or with invalid characters
        return False
