"""`ktjob batch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient.cli import answering, exits, live, looking, screen, submitting
from ktclient.quoting import spoken

if TYPE_CHECKING:
    from ktclient.batch_plan import Options
    from ktclient.batching import Handed
    from ktclient.snapshot import Snapshot


@click.command()
@click.argument("file", metavar="FILE")
@click.option(
    "-o", "--output", required=True, metavar="RESULTS", help="Write the results to this file."
)
@click.option("--errors", metavar="FILE", help="Write failed lines to this file instead.")
@click.option(
    "--max-tokens",
    type=int,
    metavar="N",
    help="Maximum output tokens of any line (default: what the line says, else 1024).",
)
@click.option(
    "--model",
    metavar="NAME",
    help="Model for all lines (default: the one a line names if the server has it, else the "
    "server's own).",
)
@click.option(
    "--server", metavar="URL", help='Server URL, a name from the configuration, or "embedded".'
)
@click.option(
    "--timeout",
    type=float,
    metavar="S",
    help="Time limit for each request in seconds (default 3600, more for a long prefill).",
)
@click.option(
    "--max-attempts",
    type=int,
    metavar="N",
    help="Maximum attempts if the worker or the server dies (default 2).",
)
@click.option("--priority", type=int, default=0, metavar="N", help="Higher runs first (default 0).")
@click.option("--label", metavar="TEXT", help="Label for filtering (see ktjob list --label).")
@click.option(
    "--after",
    multiple=True,
    metavar="ID",
    help="Start only after job ID has succeeded; repeatable.",
)
@click.option(
    "--at",
    metavar="TIME",
    help='Start no earlier than TIME (local): "22:00", "+2h", "2026-11-26 03:00".',
)
@click.option(
    "--notify",
    multiple=True,
    metavar="NAME",
    help="Send this notification from the configuration when the job ends; repeatable.",
)
@click.option(
    "--on-done", metavar="CMD", help="Run this command when the job ends, in whatever state."
)
@click.option("--retry-failed", is_flag=True, help="Retry lines that failed before.")
@click.option("--wait", is_flag=True, help="Wait for the results. Ctrl-C only detaches.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the id, and errors.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def batch(  # noqa: PLR0913 - a command's options
    file: str,
    output: str,
    errors: str | None,
    max_tokens: int | None,
    model: str | None,
    server: str | None,
    timeout: float | None,
    max_attempts: int | None,
    priority: int,
    label: str | None,
    after: tuple[str, ...],
    at: str | None,
    notify: tuple[str, ...],
    on_done: str | None,
    retry_failed: bool,
    wait: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run a FILE of requests in OpenAI's Batch format ("-" for standard input).

    Each line is a request to /v1/chat/completions. Prints a job id and returns immediately. When
    all requests are done, RESULTS has one line per request, identified by its custom_id.

    \b
    ktjob batch requests.jsonl -o results.jsonl --wait

    It is safe to run the same command again, even after a crash or with corrected lines: no request
    is sent twice.
    """
    from ktclient import batch_plan, batching, conditions, config, handover, telling

    settings = config.load()
    options = batch_plan.Options(
        results=output,
        errors=errors,
        max_tokens=max_tokens,
        timeout=timeout,
        model=model,
        server=server,
        max_attempts=handover.MAX_ATTEMPTS if max_attempts is None else max_attempts,
        priority=priority,
        retry_failed=retry_failed,
        conditions=conditions.conditions(label, after, at),
        tellings=telling.wished(notify, on_done, settings),
    )
    with submitting.named_if_it_ends_early() as name, live.line(is_silent=quiet) as line:
        handed = batching.hand_over(file, options, settings, line.download, name)
    if not as_json:
        submitting.put_named(handed.job_id, [handed.job_id])
    if not quiet:
        _explain(handed, options)
        submitting.warn_of_logout()
    end = looking.watch(handed.job_id, None, is_silent=quiet) if wait else None
    if as_json:
        from ktclient.submit import Job

        screen.put(looking.json_text(Job(handed.job_id).status().to_dict()))
    return exits.SUCCEEDED if end is None else _tell_end(end, options, quiet=quiet)


def _explain(handed: Handed, options: Options) -> None:
    results, batch = screen.one_line(options.results), handed.batch
    title = screen.one_line(handed.title)
    tokens = "" if batch is None else f", ~{batch.tokens:,} tokens"
    screen.say(f"job {handed.job_id}: batch {title}, {handed.lines:,} lines{tokens}")
    if batch is None:
        screen.say("  known      these requests were submitted before; no request is sent twice")
        screen.say(f"  results    {results}; come back: ktjob wait {handed.job_id}")
        return
    screen.say(f"  runs on    {batch.target.server} ({batch.target.why})")
    if handed.kept:
        screen.say(
            f"  kept       {handed.kept:,} lines were submitted before; no request is sent twice"
        )
    time = batch.by
    if batch.seconds is not None:
        time = f"about {spoken(batch.seconds)} to read all of them, {batch.by}"
    screen.say(f"  time       {time}")
    for note in batch.notes:
        screen.say(f"  note       {screen.one_line(note)}")
    screen.say(f"  results    {results}, when all are done")
    screen.say(f"  come back  ktjob wait {handed.job_id}, or the same command with --wait")


def _tell_end(end: Snapshot, options: Options, *, quiet: bool) -> int:
    if end.state == "SUCCEEDED":
        if not quiet:
            took = screen.duration(end.seconds())
            screen.say(f"all lines answered in {took}: {screen.one_line(options.results)}")
    else:
        screen.say(looking.ending(end))
    if not quiet:
        answering.remark(end, "")
    return exits.code_of_job(end.state, end.cause)
