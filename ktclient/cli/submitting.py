"""`ktjob submit`."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from ktclient.cli import answering, asked, defaults, describing, live, looking, screen
from ktclient.errors import KtjobError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ktclient.cli.asked import Asked
    from ktclient.config import Settings
    from ktclient.documents import Document
    from ktclient.forecast import Forecast
    from ktclient.handover import Options
    from ktclient.tasks import Task

_MOST_HEADING = 200


@click.command(cls=defaults.WithDefaults)
@asked.asked
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
    **given: Unpack[Asked],
) -> int:
    """Submit FILE ("-" for standard input) as a background job and return immediately.

    Each file becomes one job. Folders are searched recursively. Either all jobs are created or
    none. PDF, DOCX, PPTX, HTML and EPUB need pip install 'ktjob[documents]'.

    The job keeps running when you close the terminal or lose the SSH connection. Prints the id of
    each job on a line of its own.
    """
    from ktclient import collection, config, handover

    options, settings = asked.options_of(given), config.load()
    given_files = collection.gather(files, join=join, raw=raw, encoding=encoding)
    documents = given_files.documents
    handed: list[tuple[str, Forecast]] = []
    ids = [] if key is None else _known(key, documents, options, settings)
    if not ids:
        options = replace(options, submit_key=key)
        with named_if_it_ends_early() as name, live.line(is_silent=quiet) as line:
            handed = handover.hand_over_all(documents, options, settings, line.download, name)
        ids = [job_id for job_id, _ in handed]
    if not (wait or as_json):
        put_named("\n".join(ids), ids)
    if not quiet:
        describing.tell_passed_over(given_files)
        if handed:
            _explain(handed, documents, options)
        else:
            screen.say(f"known: already submitted with the key {key!r}; no request is sent twice")
        warn_of_logout()
    if wait:
        headings = _headings(documents, options) if len(documents) > 1 else ()
        return answering.wait_and_print(ids, as_json=as_json, quiet=quiet, headings=headings)
    if as_json:
        _print_records(ids)
    return 0


def _known(
    key: str, documents: Sequence[Document], options: Options, settings: Settings
) -> list[str]:
    from ktclient import submit_keys

    key = submit_keys.check(key)
    return submit_keys.known(key, documents, options.tasks, options.manner, settings)


def _print_records(ids: Sequence[str]) -> None:
    from ktclient.submit import Job

    records = [Job(job_id).status().to_dict() for job_id in ids]
    put_named(looking.json_text(records[0] if len(records) == 1 else records), ids)


def put_named(text: str, ids: Sequence[str]) -> None:
    """Print the ids of stored jobs on stdout; if that fails, name them on stderr."""
    with named_if_it_ends_early() as name:
        for job_id in ids:
            name(job_id)
        screen.put(text)


@contextlib.contextmanager
def named_if_it_ends_early() -> Iterator[Callable[[str], None]]:
    """If Ctrl-C or an error comes after a job was stored, print its id.

    Otherwise the user would submit it again and pay for two prefills. Yields a function that takes
    the id of each stored job.
    """
    stored: list[str] = []
    try:
        yield stored.append
    except (KeyboardInterrupt, KtjobError, OSError):  # OSError: the id could not be printed
        for job_id in stored:
            screen.say(
                f"job {job_id} is stored and will run anyway; to cancel it: ktjob cancel {job_id}"
            )
        raise


def warn_of_logout() -> None:
    """Print a warning if a logout can kill the runner that is alive now."""
    from jobs import identity, logout
    from ktclient import config

    runner = identity.holder(config.load().state.runner_lock)
    threat = logout.threat(runner.pid) if runner is not None else None
    if threat is not None and threat.is_certain:
        found = screen.one_line(threat.found)
        screen.say(f"WARNING: logging out can kill this job's runner: {found}. Fix: {threat.cure}")


def _explain(
    handed: Sequence[tuple[str, Forecast]], documents: Sequence[Document], options: Options
) -> None:
    each = itertools.product(documents, options.tasks)
    for (job_id, forecast), (document, task) in zip(handed, each, strict=True):
        title = screen.one_line(document.title)
        screen.say(f"job {job_id}: {task.kind.value} {title}, {forecast.count} tokens")
    describing.describe_all(documents, [forecast for _, forecast in handed])
    describing.tell_conditions(options.conditions)
    if len(handed) > describing.MOST_LINES:
        screen.say("  come back  ktjob wait ID, then ktjob result ID, for each of them")
        return
    for job_id, _ in handed:
        screen.say(f"  come back  ktjob wait {job_id}, then ktjob result {job_id}")


def _headings(documents: Sequence[Document], options: Options) -> list[str]:
    """The heading of each answer if there are several documents."""
    return [
        f"{screen.one_line(document.title)}: {_in_short(task)}"
        for document, task in itertools.product(documents, options.tasks)
    ]


def _in_short(task: Task) -> str:
    """The question, or the beginning of a long prompt."""
    words = screen.one_line(task.text) or task.kind.value
    return words if len(words) <= _MOST_HEADING else words[: _MOST_HEADING - 1] + "…"
