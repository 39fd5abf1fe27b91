"""The FILE arguments and the request options that `ktjob submit` and `ktjob check` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict

import click

from ktclient.cli import command_settings

if TYPE_CHECKING:
    from ktclient.submission.options import SubmitOptions

_ASKED = (
    click.argument("files", nargs=-1, required=True, metavar="FILE..."),
    click.option(
        "--join",
        is_flag=True,
        help="Join all files into one document, each under a line with its name.",
    ),
    click.option("--summarize", is_flag=True, help="Ask for a summary (the default)."),
    click.option(
        "--ask",
        multiple=True,
        metavar="QUESTION",
        help="Ask a question about the document; repeatable.",
    ),
    click.option(
        "--together",
        is_flag=True,
        help="Send all --ask questions in one request: the document is read once.",
    ),
    click.option("--prompt", metavar="TEXT", help="Custom instruction, placed after the document."),
    click.option(
        "--template", metavar="NAME", help="Use this prompt template (see ktjob templates)."
    ),
    click.option(
        "-v",
        "--var",
        multiple=True,
        metavar="NAME=VALUE",
        help="Set a variable of the template; repeatable.",
    ),
    click.option(
        "--schema", metavar="FILE", help="Request a JSON answer that matches this JSON Schema."
    ),
    click.option(
        "--max-tokens",
        type=int,
        metavar="N",
        help="Maximum output tokens (default 1024; with --together, 1024 per question).",
    ),
    click.option("--system", metavar="TEXT", help="System prompt, placed before the document."),
    click.option(
        "--temperature",
        type=float,
        metavar="X",
        help="Sampling temperature, 0 to 2 (default: the server's).",
    ),
    click.option(
        "--thinking", type=click.Choice(["on", "off"]), help="Turn the model's thinking on or off."
    ),
    click.option(
        "--effort",
        type=click.Choice(["low", "medium", "high", "max"]),
        help="How hard the model thinks; turns thinking on.",
    ),
    click.option("--model", metavar="NAME", help="Model name, for servers with several models."),
    click.option(
        "--server",
        metavar="URL",
        help='Server URL, a name from the configuration, "embedded", or "any".',
    ),
    click.option(
        "--timeout",
        type=float,
        metavar="S",
        help="Time limit for the request in seconds (default 3600, more for a long prefill).",
    ),
    click.option(
        "--max-attempts",
        type=int,
        metavar="N",
        help="Maximum attempts if the worker or the server dies (default 2).",
    ),
    click.option(
        "--split",
        default="auto",
        metavar="HOW",
        help="auto (default): split a document that is too long for one request; never: refuse "
        "it; or a number: tokens per part.",
    ),
    click.option(
        "--priority",
        type=int,
        default=0,
        metavar="N",
        help="Jobs with a higher number start first (default 0).",
    ),
    click.option("--label", metavar="TEXT", help="Label for filtering (see ktjob list --label)."),
    click.option(
        "--after",
        multiple=True,
        metavar="ID",
        help="Start only after job ID has succeeded; repeatable.",
    ),
    click.option(
        "--at",
        metavar="TIME",
        help='Start no earlier than TIME (local): "22:00", "tomorrow 3:00", "+2h", "2026-11-26 '
        '03:00".',
    ),
    click.option(
        "--notify",
        multiple=True,
        metavar="NAME",
        help="Send this notification from the configuration when the job ends; repeatable.",
    ),
    click.option(
        "--on-done",
        metavar="CMD",
        help="Run this command when the job ends, also if it failed; of several jobs, once, when "
        "all have ended.",
    ),
    click.option(
        "--encoding",
        metavar="NAME",
        help="Text encoding: GB18030, Big5 … (default: UTF-8, else detected).",
    ),
    click.option(
        "--raw",
        is_flag=True,
        help="Keep CRLF line endings, a byte order mark and HTML source unchanged.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)


def options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the FILE arguments and the request options to a command."""
    for option in reversed(_ASKED):
        command = option(command)
    return command


class Given(TypedDict):
    """The values of the request options, by parameter name."""

    summarize: bool
    ask: tuple[str, ...]
    together: bool
    prompt: str | None
    template: str | None
    var: tuple[str, ...]
    schema: str | None
    max_tokens: int | None
    model: str | None
    server: str | None
    timeout: float | None
    max_attempts: int | None
    priority: int
    label: str | None
    after: tuple[str, ...]
    at: str | None
    notify: tuple[str, ...]
    on_done: str | None
    system: str | None
    temperature: float | None
    thinking: str | None
    effort: str | None
    split: str


def parse(given: Given) -> SubmitOptions:
    """The options of a submit, with defaults applied. Raises `BadInput`."""
    from ktclient import wording
    from ktclient.notify import delivery
    from ktclient.planning import split_planner
    from ktclient.planning.options import MAX_ATTEMPTS, RequestOptions
    from ktclient.prompts import answer_schema
    from ktclient.prompts.instructions import Instructions, resolve
    from ktclient.submission import conditions
    from ktclient.submission.options import SubmitOptions

    wish = Instructions(
        summarize=given["summarize"],
        ask=given["ask"],
        prompt=given["prompt"],
        together=given["together"],
        template=given["template"],
        variables=_variables(given["var"]),
        schema="" if given["schema"] is None else answer_schema.read(given["schema"]),
        system=given["system"],
        temperature=given["temperature"],
        thinking={"on": True, "off": False}.get(given["thinking"] or ""),
        effort=given["effort"],
        max_tokens=given["max_tokens"],
    )
    settings = command_settings.load()
    tasks, generation, max_tokens = resolve(wish, settings.config_file)
    attempts = given["max_attempts"]
    request = RequestOptions(
        tasks=tasks,
        max_tokens=max_tokens,
        timeout=given["timeout"],
        model=wording.typed_text(given["model"], "--model"),
        server=given["server"],
        max_attempts=MAX_ATTEMPTS if attempts is None else attempts,
        generation=generation,
        split=split_planner.parse(given["split"]),
    )
    return SubmitOptions(
        request,
        given["priority"],
        conditions.conditions(given["label"], given["after"], given["at"]),
        delivery.parse_targets(given["notify"], given["on_done"], settings),
    )


def _variables(given: tuple[str, ...]) -> dict[str, str]:
    """Parse each NAME=VALUE; the value may contain "=". Raises `BadInput`."""
    from ktclient.errors import BadInput

    found: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise BadInput(f"--var expects NAME=VALUE, not {one!r}")
        if name in found:
            raise BadInput(f"--var {name} is given twice")
        found[name] = value
    return found
