"""`ktjob submit`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from ktclient.cli import live, looking, screen
from ktclient.errors import KtjobError

if TYPE_CHECKING:
    from ktclient.documents import Document
    from ktclient.servers.choose import Target


@click.command()
@click.argument("file")
@click.option("--summarize", is_flag=True, help="Ask for a summary (the default).")
@click.option("--ask", metavar="QUESTION", help="Ask a question about the document.")
@click.option("--prompt", metavar="TEXT", help="Your own instruction, after the document.")
@click.option("--max-tokens", type=int, metavar="N", help="Most tokens to answer (1024).")
@click.option("--model", metavar="NAME", help="The model's name, for servers with several.")
@click.option("--server", metavar="URL", help='A server\'s URL, or "embedded".')
@click.option("--timeout", type=float, metavar="S", help="Seconds for the whole request (3600).")
@click.option(
    "--max-attempts", type=int, metavar="N", help="Tries if the worker or the server dies (2)."
)
@click.option("--priority", type=int, default=0, metavar="N", help="Higher goes first (0).")
@click.option("--raw", is_flag=True, help="Keep CRLF line ends and a byte order mark.")
@click.option("--wait", is_flag=True, help="Wait and print the answer. Ctrl-C only detaches.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def submit(  # noqa: PLR0913 - one parameter for each option
    file: str,
    summarize: bool,
    ask: str | None,
    prompt: str | None,
    max_tokens: int | None,
    model: str | None,
    server: str | None,
    timeout: float | None,
    max_attempts: int | None,
    priority: int,
    raw: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Hand over FILE ("-" for standard input) and return at once.

    The request runs detached: closing the terminal, losing the SSH link or sleeping does not end
    it. Prints the job's id.
    """
    from ktclient import config, documents, tasks
    from ktclient import submit as service

    options = service.Options(
        task=tasks.task(summarize, ask, prompt),
        max_tokens=service.MAX_TOKENS if max_tokens is None else max_tokens,
        timeout=service.TIMEOUT_SECONDS if timeout is None else timeout,
        model=model,
        server=server,
        max_attempts=service.MAX_ATTEMPTS if max_attempts is None else max_attempts,
        priority=priority,
    )
    document = documents.read(file, raw=raw)
    with _named_if_it_ends_early() as name, live.line() as line:
        job, target = service.submit(document, options, config.load(), line.download, name)
    quiet = wait or as_json
    if not quiet:
        screen.put(job.id)
    _explain(job.id, document, options.task.kind.value, target)
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


def _explain(job_id: str, document: Document, task: str, target: Target) -> None:
    from ktclient import tokens
    from server_bundle import embedded

    likely = tokens.estimate(document.text).likely
    where = f"{target.server} ({target.why})"
    if target.is_embedded:
        where = f"the embedded {embedded.MODEL} ({target.why})"
    screen.say(f"job {job_id}: {task} {screen.one_line(document.title)}, about {likely:,} tokens")
    if document.neutralised:
        screen.say(
            f"  note       {document.neutralised} chat-template marks in it were made harmless"
        )
    screen.say(f"  runs on    {where}")
    screen.say(f"  come back  ktjob wait {job_id}, then ktjob result {job_id}")
