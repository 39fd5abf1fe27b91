"""`ktjob ask`."""

from __future__ import annotations

import click

from ktclient.cli import answering, live, looking, screen, submitting


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
    from ktclient import asking, config
    from ktclient.submit import Job

    settings = config.load()
    with live.line() as line:
        new, forecast = asking.ask(job_id, question, settings, max_tokens, timeout, line.download)
    if forecast.doubt:
        screen.say(f"WARNING: {forecast.doubt}")
    if wait:
        return answering.wait_and_print([new], as_json=as_json)
    shown = looking.json_text(Job(new, settings).status().to_dict()) if as_json else new
    submitting.put_named(shown, [new])
    screen.say(f"job {new}: {forecast.count} tokens")
    screen.say(f"come back with: ktjob wait {new}, then ktjob result {new}")
    return 0
