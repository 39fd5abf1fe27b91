"""Several files in one call from Python, by the same rules as on the command line."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from datetime import datetime

from ktclient.api.job import Job
from ktclient.api.submit import conditions_of, wished
from ktclient.config import settings as config
from ktclient.documents import collection
from ktclient.documents import document as documents
from ktclient.errors import BadInput
from ktclient.notify import delivery
from ktclient.planning import handover, split_planner
from ktclient.planning.handover import MAX_ATTEMPTS, Options
from ktclient.prompts import answer_schema
from ktclient.prompts.instructions import Wish


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
    wish = Wish(
        summarize=summarize,
        ask=asks,
        prompt=prompt,
        together=together,
        template=template,
        variables=variables or {},
        schema="" if schema is None else answer_schema.checked(schema),
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
        tellings=delivery.wished(notify, on_done, settings),
        split=split,
    )
    names = [_name(path) for path in paths]
    given = collection.gather(names, join=join, raw=raw, encoding=encoding)
    for name in given.passed_over:
        logging.getLogger("ktjob").info("passed over, no text or empty: %s", name)
    handed = handover.hand_over_all(given.documents, wished(options, wish), settings)
    return [Job(job_id, settings) for job_id, _ in handed]


def _name(path: str | os.PathLike[str]) -> str:
    """A file called "-" is no standard input here."""
    name = os.fspath(path)
    return "./-" if name == documents.STDIN else name
