"""Submit several files in one Python call, by the same rules as on the command line."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from datetime import datetime

from ktclient import beyond, collection, config, documents, handover, structured, telling
from ktclient.errors import BadInput
from ktclient.handover import MAX_ATTEMPTS, Options
from ktclient.submit import Job, conditions_of, wished
from ktclient.wish import Wish


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
    split: beyond.Split = "auto",
    schema: Mapping[str, object] | None = None,
    label: str | None = None,
    after: Sequence[str | Job] = (),
    at: str | datetime | None = None,
    notify: Sequence[str] = (),
    on_done: str | None = None,
) -> list[Job]:
    """Submit files, the text files of folders, and what patterns (`"notes/**/*.md"`) match; all of
    them or none. Returns immediately: one job for each file in order, and within it for each
    question of `ask`; with `join` the files are one document.

    Files of a folder that are not text are skipped, and logged by `ktjob` at level INFO. Other
    parameters and errors are as for `submit_long` and `submit_questions`.
    """
    if isinstance(paths, (str, os.PathLike)) or not paths:
        raise BadInput("paths must be a list of at least one file or folder")
    asks = [ask] if isinstance(ask, str) else list(ask or ())
    wish = Wish(
        summarize=summarize,
        ask=asks,
        prompt=prompt,
        together=together,
        template=template,
        variables=variables or {},
        schema="" if schema is None else structured.checked(schema),
        system=system,
        temperature=temperature,
        thinking=thinking,
        max_tokens=max_tokens,
    )
    settings = config.load()
    options = Options(
        (),
        None,
        timeout,
        model,
        server,
        max_attempts,
        priority,
        conditions=conditions_of(label, after, at),
        tellings=telling.wished(notify, on_done, settings),
        split=split,
    )
    names = [_name(path) for path in paths]
    given = collection.gather(names, join=join, raw=raw, encoding=encoding)
    for name in given.passed_over:
        logging.getLogger("ktjob").info("skipped, binary or empty: %s", name)
    handed = handover.hand_over_all(given.documents, wished(options, wish), settings)
    return [Job(job_id, settings) for job_id, _ in handed]


def _name(path: str | os.PathLike[str]) -> str:
    """A file called "-", which must not mean standard input here."""
    name = os.fspath(path)
    return "./-" if name == documents.STDIN else name
