"""`ktjob submit`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from ktclient import wording
from ktclient.cli import command_settings, option_defaults
from ktclient.cli.jobs import stored as jobs_stored
from ktclient.cli.jobs import submit_options, waiting
from ktclient.cli.render import forecast_text, job_details, output, progress_line, terminal_text

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ktclient.cli.jobs.submit_options import Given
    from ktclient.config.settings import Settings
    from ktclient.documents.document import Document
    from ktclient.planning.forecast import Forecast
    from ktclient.prompts.tasks import Task
    from ktclient.submission.options import SubmitOptions

_MOST_HEADING = 200
_WHAT = {"summarize": "summarize", "ask": "question about", "prompt": "prompt about"}
"""Kind of a task -> the words before the name of its document."""


@click.command(cls=option_defaults.WithDefaults)
@submit_options.options
@click.option(
    "--key",
    metavar="KEY",
    help="Idempotency key: submitting again with the same KEY returns the same job.",
)
@click.option("--wait", is_flag=True, help="Wait and print the answer. Ctrl-C only detaches.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the id, and errors.")
def submit(  # noqa: PLR0913 - a command's options
    files: tuple[str, ...],
    join: bool,
    raw: bool,
    encoding: str | None,
    as_json: bool,
    key: str | None,
    wait: bool,
    quiet: bool,
    **given: Unpack[Given],
) -> int:
    """Submit FILE ("-" for standard input) as a background job and return immediately.

    Each file becomes one job. Folders are searched recursively. Either all jobs are created or
    none. Several are a group, whose id commands take in place of theirs.

    Mails, notebooks and RTF are read as text; PDF, DOCX, PPTX, HTML and EPUB need the extra
    "documents": without it, the message names the command that adds it.

    The job keeps running when you close the terminal or lose the SSH connection. Prints the id of
    each job on a line of its own.
    """
    from ktclient.documents import collection
    from ktclient.submission import enqueue

    options, settings = submit_options.parse(given), command_settings.load()
    given_files = collection.gather(files, join=join, raw=raw, encoding=encoding)
    documents = given_files.documents
    handed: list[tuple[str, Forecast]] = []
    ids = [] if key is None else _existing(key, documents, options, settings)
    if not ids:
        options = replace(options, key=key)
        with jobs_stored.name_if_interrupted() as name, progress_line.line(is_silent=quiet) as line:
            handed = enqueue.enqueue_all(documents, options, settings, line.download, name)
        ids = [job_id for job_id, _ in handed]
    if not (wait or as_json):
        jobs_stored.print_naming("\n".join(ids), ids)
    if not quiet:
        forecast_text.print_skipped(given_files)
        if handed:
            _explain(handed, documents, options)
        else:
            output.note(f"already submitted with the key {key!r}; no request is sent twice")
        jobs_stored.warn_of_logout()
    if wait:
        headings = _headings(documents, options) if len(documents) > 1 else ()
        return waiting.wait_and_print(ids, as_json=as_json, quiet=quiet, headings=headings)
    if as_json:
        _print_records(ids)
    return 0


def _existing(
    key: str, documents: Sequence[Document], options: SubmitOptions, settings: Settings
) -> list[str]:
    from ktclient.submission import idempotency

    key = idempotency.check(key)
    request = options.request
    return idempotency.existing(key, documents, request.tasks, request.generation, settings)


def _print_records(ids: Sequence[str]) -> None:
    from ktclient.api.job import Job

    records = [Job(job_id).status().to_dict() for job_id in ids]
    jobs_stored.print_naming(
        job_details.json_text(records[0] if len(records) == 1 else records), ids
    )


def _explain(
    handed: Sequence[tuple[str, Forecast]], documents: Sequence[Document], options: SubmitOptions
) -> None:
    each = itertools.product(documents, options.request.tasks)
    named = list(zip(handed, each, strict=True))
    for (job_id, forecast), (document, task) in named[: forecast_text.MOST_LINES]:
        title = terminal_text.one_line(document.title)
        output.note(f"job {job_id}: {_WHAT[task.kind.value]} {title}, {forecast.count.in_words}")
    if more := named[forecast_text.MOST_LINES :]:
        output.note(f"and {wording.count(len(more), 'more job')}; `ktjob list` has them all")
    forecast_text.describe_all(documents, [forecast for _, forecast in handed])
    forecast_text.print_conditions(options.conditions)
    jobs_stored.say_blocked([job_id for job_id, _ in handed])
    jobs_stored.say_next([job_id for job_id, _ in handed])


def _headings(documents: Sequence[Document], options: SubmitOptions) -> list[str]:
    """The heading of each answer if there are several documents."""
    return [
        f"{terminal_text.one_line(document.title)}: {_in_short(task)}"
        for document, task in itertools.product(documents, options.request.tasks)
    ]


def _in_short(task: Task) -> str:
    """The question, or the beginning of a long prompt."""
    words = terminal_text.one_line(task.text) or task.kind.value
    return words if len(words) <= _MOST_HEADING else words[: _MOST_HEADING - 1] + "…"
