"""`ktjob submit`, and what it shares with `ktjob check`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypedDict

import click

from ktclient.cli import live, looking, screen
from ktclient.errors import KtjobError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ktclient import submit as service
    from ktclient.documents import Document
    from ktclient.forecast import Forecast


_ASKED = (
    click.argument("file"),
    click.option("--summarize", is_flag=True, help="Ask for a summary (the default)."),
    click.option("--ask", metavar="QUESTION", help="Ask a question about the document."),
    click.option("--prompt", metavar="TEXT", help="Your own instruction, after the document."),
    click.option("--max-tokens", type=int, metavar="N", help="Most tokens to answer (1024)."),
    click.option("--model", metavar="NAME", help="The model's name, for servers with several."),
    click.option("--server", metavar="URL", help='A server\'s URL, or "embedded".'),
    click.option(
        "--timeout",
        type=float,
        metavar="S",
        help="Seconds for the whole request (3600, or more where reading it takes long).",
    ),
    click.option(
        "--max-attempts", type=int, metavar="N", help="Tries if the worker or the server dies (2)."
    ),
    click.option("--priority", type=int, default=0, metavar="N", help="Higher goes first (0)."),
    click.option("--raw", is_flag=True, help="Keep CRLF line ends and a byte order mark."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)


def asked(command: Callable[..., int]) -> Callable[..., int]:
    """The file, and the options that say what is asked about it."""
    for option in reversed(_ASKED):
        command = option(command)
    return command


class Asked(TypedDict):
    """What the options say."""

    summarize: bool
    ask: str | None
    prompt: str | None
    max_tokens: int | None
    model: str | None
    server: str | None
    timeout: float | None
    max_attempts: int | None
    priority: int


def options_of(given: Asked) -> service.Options:
    """What was asked, with defaults."""
    from ktclient import submit as service
    from ktclient import tasks

    most, attempts = given["max_tokens"], given["max_attempts"]
    return service.Options(
        task=tasks.task(given["summarize"], given["ask"], given["prompt"]),
        max_tokens=service.MAX_TOKENS if most is None else most,
        timeout=given["timeout"],
        model=given["model"],
        server=given["server"],
        max_attempts=service.MAX_ATTEMPTS if attempts is None else attempts,
        priority=given["priority"],
    )


@click.command()
@asked
@click.option("--wait", is_flag=True, help="Wait and print the answer. Ctrl-C only detaches.")
def submit(file: str, raw: bool, as_json: bool, wait: bool, **given: Unpack[Asked]) -> int:
    """Hand over FILE ("-" for standard input) and return at once.

    The request runs detached: closing the terminal, losing the SSH link or sleeping does not end
    it. Prints the job's id.
    """
    from ktclient import config, documents
    from ktclient import submit as service

    options = options_of(given)
    document = documents.read(file, raw=raw)
    with _named_if_it_ends_early() as name, live.line() as line:
        job, forecast = service.submit(document, options, config.load(), line.download, name)
    if not (wait or as_json):
        screen.put(job.id)
    _explain(job.id, document, options.task.kind.value, forecast)
    _warn_of_logout()
    if wait:
        return looking.wait_and_print(job.id, None, as_json)
    if as_json:
        screen.put(json.dumps(job.status().to_dict(), ensure_ascii=False))
    return 0


@contextlib.contextmanager
def _named_if_it_ends_early() -> Iterator[Callable[[str], None]]:
    """Ctrl-C, or a runner that does not start, after the job was stored: say which it is, so that
    nobody submits it again and pays twice."""
    stored: list[str] = []
    try:
        yield stored.append
    except (KeyboardInterrupt, KtjobError):
        for job_id in stored:
            screen.say(
                f"job {job_id} is stored and will run all the same; "
                f"if you do not want it: ktjob cancel {job_id}"
            )
        raise


def _warn_of_logout() -> None:
    """One line for whoever is about to log out in good faith: about the runner that lives."""
    from jobs import identity, logout
    from ktclient import config

    runner = identity.holder(config.load().state.runner_lock)
    threat = logout.threat(runner.pid) if runner is not None else None
    if threat is not None and threat.is_certain:
        found = screen.one_line(threat.found)
        screen.say(f"WARNING: logging out can kill this job's runner: {found}. Cure: {threat.cure}")


def _explain(job_id: str, document: Document, task: str, forecast: Forecast) -> None:
    title = screen.one_line(document.title)
    screen.say(f"job {job_id}: {task} {title}, {forecast.count} tokens")
    describe(document, forecast)
    screen.say(f"  come back  ktjob wait {job_id}, then ktjob result {job_id}")


def describe(document: Document, forecast: Forecast) -> None:
    """What people should know before they wait, a line for each thing."""
    from server_bundle import embedded

    target = forecast.target
    where = f"{target.server} ({target.why})"
    if target.is_embedded:
        where = f"the embedded {embedded.MODEL} ({target.why})"
    if document.neutralised:
        screen.say(
            f"  note       {document.neutralised} chat-template marks in it were made harmless"
        )
    if document.line_ends:
        screen.say(f"  note       {document.line_ends:,} CR LF line ends were sent as LF alone")
    screen.say(f"  runs on    {where}")
    screen.say(f"  counted    {screen.one_line(forecast.count.by)}")
    verdict = forecast.verdict
    screen.say(f"  room       {verdict.kind.value}: {verdict.reason}")
    if verdict.cure:
        screen.say(f"             {verdict.cure}")
    if forecast.expected is not None:
        screen.say(f"  time       {forecast.time}; given up after {forecast.deadline:,.0f} s")
    for line in forecast.ahead.lines():
        screen.say(f"  now        {line}")
    if forecast.doubt:
        screen.say(f"WARNING: {forecast.doubt}")
