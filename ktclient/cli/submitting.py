"""`ktjob submit`, and what it shares with `ktjob check`."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypedDict

import click

from ktclient.cli import answering, live, looking, screen
from ktclient.errors import KtjobError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ktclient.collection import Collection
    from ktclient.documents import Document
    from ktclient.forecast import Forecast
    from ktclient.handover import Options


_MOST_LINES = 8
"""So many jobs or names are listed one by one."""
_ASKED = (
    click.argument("files", nargs=-1, required=True, metavar="FILE..."),
    click.option(
        "--join",
        is_flag=True,
        help="One document of several files, each under a line with its name.",
    ),
    click.option("--summarize", is_flag=True, help="Ask for a summary (the default)."),
    click.option(
        "--ask", multiple=True, metavar="QUESTION", help="Ask a question about it; may be repeated."
    ),
    click.option(
        "--together", is_flag=True, help="Several --ask in one request: the document is read once."
    ),
    click.option("--prompt", metavar="TEXT", help="Your own instruction, after the document."),
    click.option(
        "--max-tokens",
        type=int,
        metavar="N",
        help="Most tokens to answer (1024; with --together 1024 for each question, in all).",
    ),
    click.option("--system", metavar="TEXT", help="A system prompt, before the document."),
    click.option("--temperature", type=float, metavar="X", help="0 to 2 (the server's own)."),
    click.option(
        "--thinking", type=click.Choice(["on", "off"]), help="Let the model think first, or not."
    ),
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
    click.option(
        "--encoding",
        metavar="NAME",
        help="The text's encoding: GB18030, Big5 … (UTF-8, else guessed).",
    ),
    click.option("--raw", is_flag=True, help="Keep CRLF line ends and a byte order mark."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)


def asked(command: Callable[..., int]) -> Callable[..., int]:
    """The files, and the options that say what is asked about it."""
    for option in reversed(_ASKED):
        command = option(command)
    return command


class Asked(TypedDict):
    """What the options say."""

    summarize: bool
    ask: tuple[str, ...]
    together: bool
    prompt: str | None
    max_tokens: int | None
    model: str | None
    server: str | None
    timeout: float | None
    max_attempts: int | None
    priority: int
    system: str | None
    temperature: float | None
    thinking: str | None


def options_of(given: Asked) -> Options:
    """What was asked, with defaults."""
    from ktclient import handover, manners, tasks

    attempts = given["max_attempts"]
    thinking = {"on": True, "off": False}.get(given["thinking"] or "")
    return handover.Options(
        tasks=tasks.tasks(
            given["summarize"], given["ask"], given["prompt"], as_one=given["together"]
        ),
        max_tokens=given["max_tokens"],
        timeout=given["timeout"],
        model=given["model"],
        server=given["server"],
        max_attempts=handover.MAX_ATTEMPTS if attempts is None else attempts,
        priority=given["priority"],
        manner=manners.manner(given["system"], given["temperature"], thinking),
    )


@click.command()
@asked
@click.option("--wait", is_flag=True, help="Wait and print the answer. Ctrl-C only detaches.")
@click.option("-q", "--quiet", is_flag=True, help="Print the id and nothing else, but for errors.")
def submit(  # noqa: PLR0913 - a command's options
    files: tuple[str, ...],
    join: bool,
    raw: bool,
    encoding: str | None,
    as_json: bool,
    wait: bool,
    quiet: bool,
    **given: Unpack[Asked],
) -> int:
    """Hand over FILE ("-" for standard input) and return at once.

    Several files are a job each, all stored or none; of a folder all its text files.

    The request runs detached: closing the terminal, losing the SSH link or sleeping does not end
    it. Prints the job's id; of several jobs each id, a line for each.
    """
    from ktclient import collection, config, handover

    options, settings = options_of(given), config.load()
    given_files = collection.gather(files, join=join, raw=raw, encoding=encoding)
    documents = given_files.documents
    with _named_if_it_ends_early() as name, live.line(is_silent=quiet) as line:
        handed = handover.hand_over_all(documents, options, settings, line.download, name)
    ids = [job_id for job_id, _ in handed]
    if not (wait or as_json):
        screen.put("\n".join(ids))
    if not quiet:
        tell_passed_over(given_files)
        _explain(handed, documents, options)
        _warn_of_logout()
    if wait:
        headings = _headings(documents, options) if len(documents) > 1 else ()
        return answering.wait_and_print(ids, as_json=as_json, quiet=quiet, headings=headings)
    if as_json:
        _print_records(ids)
    return 0


def _print_records(ids: Sequence[str]) -> None:
    from ktclient.submit import Job

    records = [Job(job_id).status().to_dict() for job_id in ids]
    screen.put(looking.json_text(records[0] if len(records) == 1 else records))


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


def _explain(
    handed: Sequence[tuple[str, Forecast]], documents: Sequence[Document], options: Options
) -> None:
    asked = itertools.product(documents, options.tasks)
    for (job_id, forecast), (document, task) in zip(handed, asked, strict=True):
        title = screen.one_line(document.title)
        screen.say(f"job {job_id}: {task.kind.value} {title}, {forecast.count} tokens")
    describe_all(documents, [forecast for _, forecast in handed])
    if len(handed) > _MOST_LINES:
        screen.say("  come back  ktjob wait ID, then ktjob result ID, for each of them")
        return
    for job_id, _ in handed:
        screen.say(f"  come back  ktjob wait {job_id}, then ktjob result {job_id}")


def _headings(documents: Sequence[Document], options: Options) -> list[str]:
    """What each answer is to, where there are several documents."""
    return [
        f"{screen.one_line(document.title)}: {task.text or task.kind.value}"
        for document, task in itertools.product(documents, options.tasks)
    ]


def tell_passed_over(given: Collection) -> None:
    """What of the folders is not sent, a line."""
    names = [screen.one_line(name) for name in given.passed_over]
    if names:
        more = f" and {len(names) - _MOST_LINES:,} more" if len(names) > _MOST_LINES else ""
        listed = ", ".join(names[:_MOST_LINES])
        screen.say(f"note: {len(names):,} passed over, no text or empty: {listed}{more}")


def describe_all(documents: Sequence[Document], before: Sequence[Forecast]) -> None:
    """What people should know of them all, the server's part by the longest request. `before` are
    all forecasts of the first document, then all of the next."""
    for document in documents:
        _note(document, is_alone=len(documents) == 1)
    describe(max(before, key=lambda one: one.count.high))
    warn_of_prefills(before[: len(before) // len(documents)])


def warn_of_prefills(before: Sequence[Forecast]) -> None:
    """What several questions cost, where the server reads the document for each anew."""
    from ktclient import handover

    if (costs := handover.repeated_prefills(before)) is not None:
        screen.say(f"  note       {costs}")


def _note(document: Document, *, is_alone: bool) -> None:
    """How it was read, and what was changed in it."""
    it = "it" if is_alone else screen.one_line(document.title)
    if document.guessed:
        name = "" if is_alone else f" {it}:"
        screen.say(f"  read as   {name} {document.guessed} (a guess); --encoding NAME overrides")
    if document.neutralised:
        screen.say(
            f"  note       {document.neutralised} chat-template marks in {it} were made harmless"
        )
    if document.line_ends:
        of_it = "" if is_alone else f" of {it}"
        screen.say(
            f"  note       {document.line_ends:,} CR LF line ends{of_it} were sent as LF alone"
        )


def describe(forecast: Forecast) -> None:
    """What people should know before they wait, a line for each thing."""
    from server_bundle import embedded

    target = forecast.target
    where = f"{target.server} ({target.why})"
    if target.is_embedded:
        where = f"the embedded {embedded.MODEL} ({target.why})"
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
