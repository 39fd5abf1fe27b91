"""`ktjob ask`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import click

from ktclient.cli import command_settings
from ktclient.cli.jobs import stored, waiting
from ktclient.cli.render import job_details, output, progress_line

if TYPE_CHECKING:
    from typing_extensions import Unpack


class _Given(TypedDict):
    """What the new job may have otherwise."""

    max_tokens: int | None
    timeout: float | None
    thinking: str | None
    effort: str | None


@click.command()
@click.argument("job_id", metavar="ID")
@click.argument("question")
@click.option(
    "--max-tokens", type=int, metavar="N", help="Maximum output tokens (default: as job ID)."
)
@click.option(
    "--timeout",
    type=float,
    metavar="S",
    help="Time limit for the request in seconds (default: as job ID).",
)
@click.option(
    "--thinking",
    type=click.Choice(["on", "off"]),
    help="Turn the model's thinking on or off (default: as job ID).",
)
@click.option(
    "--effort",
    type=click.Choice(["low", "medium", "high", "max"]),
    help="How hard the model thinks; turns thinking on (default: as job ID).",
)
@click.option("--wait", is_flag=True, help="Wait and print the answer. Ctrl-C only detaches.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ask(job_id: str, question: str, wait: bool, as_json: bool, **given: Unpack[_Given]) -> int:
    """Ask another QUESTION about the document of job ID, as a new job on the same server.

    The file itself is not needed. Prints the new job's id.
    """
    from ktclient.api.job import Job
    from ktclient.submission import followup

    settings = command_settings.load()
    changes = followup.Changes(
        max_tokens=given["max_tokens"],
        timeout=given["timeout"],
        thinking={"on": True, "off": False}.get(given["thinking"] or ""),
        effort=given["effort"],
    )
    with progress_line.line() as line:
        asked = followup.ask(job_id, question, settings, changes, line.download)
    new, forecast = asked.id, asked.forecast
    if forecast.doubt:
        output.note(f"WARNING: {forecast.doubt}")
    if asked.rereads:
        output.note(f"note: {asked.rereads}")
    if asked.note:
        output.note(f"note: {asked.note}")
    if wait:
        return waiting.wait_and_print([new], as_json=as_json)
    shown = job_details.json_text(Job(new, settings).status().to_dict()) if as_json else new
    stored.print_naming(shown, [new])
    output.note(f"job {new}: {forecast.count.in_words}")
    stored.say_blocked([new])
    output.note(f"next: ktjob wait {new}, then ktjob result {new}")
    return 0
