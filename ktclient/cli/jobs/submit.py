"""`ktjob submit`."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from jobs.errors import KtjobError
from ktclient.cli import option_defaults
from ktclient.cli.jobs import looking, result, submit_options
from ktclient.cli.render import forecast_text, progress_line, screen

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ktclient.cli.jobs.submit_options import Asked
    from ktclient.config.settings import Settings
    from ktclient.documents.document import Document
    from ktclient.planning.forecast import Forecast
    from ktclient.planning.handover import Options
    from ktclient.prompts.tasks import Task

_MOST_HEADING = 200


@click.command(cls=option_defaults.WithDefaults)
@submit_options.asked
@click.option(
    "--key",
    metavar="KEY",
    help="Submitted again under the same KEY it is the same job: for scripts that may run twice.",
)
@click.option("--wait", is_flag=True, help="Wait and print the answer. Ctrl-C only detaches.")
@click.option("-q", "--quiet", is_flag=True, help="Print the id and nothing else, but for errors.")
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
    """Hand over FILE ("-" for standard input) and return at once.

    Several files are a job each, all stored or none; of a folder all its text files. PDF, DOCX,
    PPTX, HTML and EPUB too, with pip install 'ktjob[documents]'.

    The request runs detached: closing the terminal, losing the SSH link or sleeping does not end
    it. Prints the job's id; of several jobs each id, a line for each.
    """
    from ktclient.config import settings as config
    from ktclient.documents import collection
    from ktclient.planning import handover

    options, settings = submit_options.options_of(given), config.load()
    given_files = collection.gather(files, join=join, raw=raw, encoding=encoding)
    documents = given_files.documents
    handed: list[tuple[str, Forecast]] = []
    ids = [] if key is None else _known(key, documents, options, settings)
    if not ids:
        options = replace(options, submit_key=key)
        with named_if_it_ends_early() as name, progress_line.line(is_silent=quiet) as line:
            handed = handover.hand_over_all(documents, options, settings, line.download, name)
        ids = [job_id for job_id, _ in handed]
    if not (wait or as_json):
        put_named("\n".join(ids), ids)
    if not quiet:
        forecast_text.tell_passed_over(given_files)
        if handed:
            _explain(handed, documents, options)
        else:
            screen.say(f"known: stored before under the key {key!r}; nothing is asked twice")
        warn_of_logout()
    if wait:
        headings = _headings(documents, options) if len(documents) > 1 else ()
        return result.wait_and_print(ids, as_json=as_json, quiet=quiet, headings=headings)
    if as_json:
        _print_records(ids)
    return 0


def _known(
    key: str, documents: Sequence[Document], options: Options, settings: Settings
) -> list[str]:
    from ktclient.submission import idempotency

    key = idempotency.check(key)
    return idempotency.known(key, documents, options.tasks, options.manner, settings)


def _print_records(ids: Sequence[str]) -> None:
    from ktclient.api.job import Job

    records = [Job(job_id).status().to_dict() for job_id in ids]
    put_named(looking.json_text(records[0] if len(records) == 1 else records), ids)


def put_named(text: str, ids: Sequence[str]) -> None:
    """Print what says which jobs were stored; where that is not possible, name them on stderr."""
    with named_if_it_ends_early() as name:
        for job_id in ids:
            name(job_id)
        screen.put(text)


@contextlib.contextmanager
def named_if_it_ends_early() -> Iterator[Callable[[str], None]]:
    """Ctrl-C, or a runner that does not start, after the job was stored: say which it is, so that
    nobody submits it again and pays twice."""
    stored: list[str] = []
    try:
        yield stored.append
    except (KeyboardInterrupt, KtjobError, OSError):  # OSError: the id could not be printed
        for job_id in stored:
            screen.say(
                f"job {job_id} is stored and will run all the same; "
                f"if you do not want it: ktjob cancel {job_id}"
            )
        raise


def warn_of_logout() -> None:
    """One line for whoever is about to log out in good faith: about the runner that lives."""
    from jobs.processes import identity
    from jobs.system import logout
    from ktclient.config import settings as config

    runner = identity.holder(config.load().state.runner_lock)
    threat = logout.threat(runner.pid) if runner is not None else None
    if threat is not None and threat.is_certain:
        found = screen.one_line(threat.found)
        screen.say(f"WARNING: logging out can kill this job's runner: {found}. Cure: {threat.cure}")


def _explain(
    handed: Sequence[tuple[str, Forecast]], documents: Sequence[Document], options: Options
) -> None:
    each = itertools.product(documents, options.tasks)
    for (job_id, forecast), (document, task) in zip(handed, each, strict=True):
        title = screen.one_line(document.title)
        screen.say(f"job {job_id}: {task.kind.value} {title}, {forecast.count} tokens")
    forecast_text.describe_all(documents, [forecast for _, forecast in handed])
    forecast_text.tell_conditions(options.conditions)
    if len(handed) > forecast_text.MOST_LINES:
        screen.say("  come back  ktjob wait ID, then ktjob result ID, for each of them")
        return
    for job_id, _ in handed:
        screen.say(f"  come back  ktjob wait {job_id}, then ktjob result {job_id}")


def _headings(documents: Sequence[Document], options: Options) -> list[str]:
    """What each answer is to, where there are several documents."""
    return [
        f"{screen.one_line(document.title)}: {_in_short(task)}"
        for document, task in itertools.product(documents, options.tasks)
    ]


def _in_short(task: Task) -> str:
    """The question; of a long prompt its beginning."""
    words = screen.one_line(task.text) or task.kind.value
    return words if len(words) <= _MOST_HEADING else words[: _MOST_HEADING - 1] + "…"
