"""The options of `ktjob edit` and `ktjob rerun`: what is not as in the stored job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypedDict, TypeVar

import click

from ktclient.cli.jobs.selection import Where
from ktclient.cli.render import output

if TYPE_CHECKING:
    from ktclient.submission.changes import Changes
from ktclient.submission.renewal import Renewed

Command = TypeVar("Command", bound=Callable[..., object])

_OPTIONS = (
    click.option("--ask", metavar="QUESTION", help="Ask this instead."),
    click.option("--max-tokens", type=int, metavar="N", help="Maximum output tokens."),
    click.option("--timeout", type=float, metavar="S", help="Time limit in seconds."),
    click.option("--server", metavar="URL", help="Server URL, configured name, embedded, or any."),
    click.option("--model", metavar="NAME", help="The model that gets the request."),
    click.option("--thinking", type=click.Choice(["on", "off"]), help="Model's thinking."),
    click.option(
        "--effort",
        type=click.Choice(["low", "medium", "high", "max"]),
        help="How hard the model thinks; turns thinking on.",
    ),
    click.option("--label", metavar="TEXT", help='Another label; "" removes it.'),
    click.option(
        "--at", metavar="TIME", help='Start no earlier than TIME ("22:00", "+2h"), or "now".'
    ),
)


class Given(TypedDict):
    """The values of these options, by parameter name."""

    ask: str | None
    max_tokens: int | None
    timeout: float | None
    server: str | None
    model: str | None
    thinking: str | None
    effort: str | None
    label: str | None
    at: str | None


class GivenOfSeveral(Given, Where):
    """The same with the words that name the jobs."""


def options(command: Command) -> Command:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def parse(given: Given) -> Changes:
    """The changes that are given."""
    from ktclient import wording
    from ktclient.submission.changes import Changes

    return Changes(
        question=given["ask"],
        max_tokens=given["max_tokens"],
        timeout=given["timeout"],
        server=given["server"],
        model=wording.typed_text(given["model"], "--model"),
        thinking={"on": True, "off": False}.get(given["thinking"] or ""),
        effort=given["effort"],
        label=given["label"],
        at=given["at"],
    )


def explain(done: Sequence[Renewed]) -> None:
    """Print how the request was checked, of a single one, and what nobody asked for."""
    from ktclient.cli.render import forecast_text

    for one in done if len(done) == 1 else ():
        if one.forecast is not None:
            forecast_text.describe(one.forecast)
    for note in dict.fromkeys(one.note for one in done if one.note):
        output.note(f"  note       {note}")
