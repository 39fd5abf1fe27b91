"""What `ktjob submit` and `ktjob check` are told: the files, and the options about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict

import click

if TYPE_CHECKING:
    from ktclient.handover import Options

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
    click.option(
        "--split",
        default="auto",
        metavar="HOW",
        help="auto: in parts where it is too long for one request; never; or tokens of a part.",
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
    split: str


def options_of(given: Asked) -> Options:
    """What was asked, with defaults."""
    from ktclient import beyond, handover, manners, tasks

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
        split=beyond.parse(given["split"]),
    )
