"""`ktjob ask`."""

from __future__ import annotations

import click

from ktclient.cli import command_settings
from ktclient.cli.jobs import stored, waiting
from ktclient.cli.render import job_details, output, progress_line


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
@click.option("--wait", is_flag=True, help="Wait and print the answer. Ctrl-C only detaches.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ask(
    job_id: str,
    question: str,
    max_tokens: int | None,
    timeout: float | None,
    wait: bool,
    as_json: bool,
) -> int:
    """Ask another QUESTION about the document of job ID, as a new job on the same server.

    The file itself is not needed. Prints the new job's id.
    """
    from ktclient.api.job import Job
    from ktclient.submission import followup

    settings = command_settings.load()
    with progress_line.line() as line:
        new, forecast = followup.ask(job_id, question, settings, max_tokens, timeout, line.download)
    if forecast.doubt:
        output.note(f"WARNING: {forecast.doubt}")
    if wait:
        return waiting.wait_and_print([new], as_json=as_json)
    shown = job_details.json_text(Job(new, settings).status().to_dict()) if as_json else new
    stored.print_naming(shown, [new])
    output.note(f"job {new}: {forecast.count.in_words}")
    output.note(f"next: ktjob wait {new}, then ktjob result {new}")
    return 0
