"""`ktjob ask`."""

from __future__ import annotations

import click

from ktclient.cli.jobs import looking, result, submit
from ktclient.cli.render import progress_line, screen


@click.command()
@click.argument("job_id", metavar="ID")
@click.argument("question")
@click.option("--max-tokens", type=int, metavar="N", help="Most tokens to answer (as job ID).")
@click.option("--timeout", type=float, metavar="S", help="Seconds for the request (as job ID).")
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
    """Ask another QUESTION about the document of job ID: a new job on the same server. The file
    is not needed. Prints the new job's id."""
    from ktclient.api.job import Job
    from ktclient.config import settings as config
    from ktclient.submission import followup

    settings = config.load()
    with progress_line.line() as line:
        new, forecast = followup.ask(job_id, question, settings, max_tokens, timeout, line.download)
    if forecast.doubt:
        screen.say(f"WARNING: {forecast.doubt}")
    if wait:
        return result.wait_and_print([new], as_json=as_json)
    told = looking.json_text(Job(new, settings).status().to_dict()) if as_json else new
    submit.put_named(told, [new])
    screen.say(f"job {new}: {forecast.count} tokens")
    screen.say(f"come back with: ktjob wait {new}, then ktjob result {new}")
    return 0
