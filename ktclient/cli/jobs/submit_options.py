"""What `ktjob submit` and `ktjob check` are told: the files, and the options about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict

import click

if TYPE_CHECKING:
    from ktclient.submission.options import SubmitOptions

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
        "--template", metavar="NAME", help="A prompt of that name: ktjob templates lists them."
    ),
    click.option(
        "-v",
        "--var",
        multiple=True,
        metavar="NAME=VALUE",
        help="A variable of the template; may be repeated.",
    ),
    click.option(
        "--schema", metavar="FILE", help="A JSON Schema: the answer is JSON that follows it."
    ),
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
    click.option("--label", metavar="TEXT", help="A word of yours, to find it by."),
    click.option(
        "--after",
        multiple=True,
        metavar="ID",
        help="Start once job ID has succeeded; may be repeated.",
    ),
    click.option(
        "--at",
        metavar="TIME",
        help='Start then: "22:00", "tomorrow 3:00", "+2h", "2026-11-26 03:00"; local time.',
    ),
    click.option(
        "--notify",
        multiple=True,
        metavar="NAME",
        help="Whom to notify of its end, by a name of the configuration; may be repeated.",
    ),
    click.option("--on-done", metavar="CMD", help="A command to run when it has ended, however."),
    click.option(
        "--encoding",
        metavar="NAME",
        help="The text's encoding: GB18030, Big5 … (UTF-8, else guessed).",
    ),
    click.option(
        "--raw",
        is_flag=True,
        help="Keep CRLF line ends, a byte order mark, and the source of a web page.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)


def options(command: Callable[..., int]) -> Callable[..., int]:
    """The files, and the options that say what is asked about it."""
    for option in reversed(_ASKED):
        command = option(command)
    return command


class Given(TypedDict):
    """What the options say."""

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
    split: str


def parse(given: Given) -> SubmitOptions:
    """What was asked, with defaults."""
    from ktclient import wording
    from ktclient.config import settings as config
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
        max_tokens=given["max_tokens"],
    )
    settings = config.load()
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
    """Each NAME=VALUE; the value may hold more of "="."""
    from ktclient.errors import BadInput

    found: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise BadInput(f"--var is NAME=VALUE, not {one!r}")
        if name in found:
            raise BadInput(f"--var {name} is given twice")
        found[name] = value
    return found
