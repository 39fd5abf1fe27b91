"""`ktjob batch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient.cli import command_settings, exit_codes
from ktclient.cli.jobs import stored, waiting
from ktclient.cli.render import answer_text, job_details, progress_line, terminal_text, units
from ktclient.cli.render import output as render_output
from ktclient.wording import count, spoken, was

if TYPE_CHECKING:
    from ktclient.batch.enqueue import StoredBatch
    from ktclient.batch.preflight import Options
    from ktclient.records.snapshot import Snapshot


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
    help="Maximum output tokens for each line (default: its own value, else 1024).",
)
@click.option(
    "--effort",
    type=click.Choice(["low", "medium", "high", "max"]),
    help="How hard the model thinks, for lines that say nothing about thinking.",
)
@click.option(
    "--model",
    metavar="NAME",
    help="Model for all lines (default: the one a line names if the server has it, else the "
    "server's own).",
)
@click.option(
    "--server",
    metavar="URL",
    help='Server URL, a name from the configuration, "embedded", or "any".',
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
@click.option(
    "--priority",
    type=int,
    default=0,
    metavar="N",
    help="Jobs with a higher number start first (default 0).",
)
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
    "--on-done", metavar="CMD", help="Run this command when the job ends, also if it failed."
)
@click.option("--retry-failed", is_flag=True, help="Retry lines that failed before.")
@click.option("--force", is_flag=True, help="Replace RESULTS even if ktjob did not write it.")
@click.option("--wait", is_flag=True, help="Wait for the results. Ctrl-C only detaches.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the id, and errors.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def batch(  # noqa: PLR0913 - a command's options
    file: str,
    output: str,
    errors: str | None,
    max_tokens: int | None,
    effort: str | None,
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
    force: bool,
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
    from ktclient.batch import enqueue as batch_enqueue
    from ktclient.batch import preflight
    from ktclient.notify import delivery
    from ktclient.planning import options as planning_options
    from ktclient.submission import conditions

    settings = command_settings.load()
    options = preflight.Options(
        results=output,
        errors=errors,
        max_tokens=max_tokens,
        effort=effort,
        timeout=timeout,
        model=model,
        server=server,
        max_attempts=planning_options.MAX_ATTEMPTS if max_attempts is None else max_attempts,
        priority=priority,
        retry_failed=retry_failed,
        force=force,
        conditions=conditions.conditions(label, after, at),
        tellings=delivery.parse_targets(notify, on_done, settings),
    )
    with stored.name_if_interrupted() as name, progress_line.line(is_silent=quiet) as line:
        handed = batch_enqueue.enqueue(file, options, settings, line.download, name)
    if not as_json:
        stored.print_naming(handed.job_id, [handed.job_id])
    if not quiet:
        _explain(handed, options)
        stored.say_blocked([handed.job_id])
        stored.warn_of_logout()
    end = waiting.watch(handed.job_id, None, is_silent=quiet) if wait else None
    if as_json:
        from ktclient.api.job import Job

        job = Job(handed.job_id, settings)
        render_output.print_data(job_details.json_text(job.status().to_dict()))
    return exit_codes.SUCCEEDED if end is None else _print_end(end, options, quiet=quiet)


def _explain(handed: StoredBatch, options: Options) -> None:
    results, batch = terminal_text.one_line(options.results), handed.batch
    title = terminal_text.one_line(handed.title)
    tokens = "" if batch is None else f", ~{count(batch.tokens, 'token')}"
    render_output.note(f"job {handed.job_id}: batch {title}, {count(handed.lines, 'line')}{tokens}")
    if batch is None:
        render_output.note("  already submitted: no request is sent twice")
        render_output.note(f"  results    {results}; next: ktjob wait {handed.job_id}")
        return
    render_output.note(f"  runs on    {batch.target.server} ({batch.target.why})")
    if batch.shares:
        urls = ", ".join(one.server for one in batch.shares)
        render_output.note(f"  also on    {urls}")
    if handed.kept:
        render_output.note(
            f"  kept       {count(handed.kept, 'line')} {was(handed.kept)} submitted before; "
            "no request is sent twice"
        )
    time = batch.by
    if batch.seconds is not None:
        time = f"about {spoken(batch.seconds)} of prefill in total, {batch.by}"
    render_output.note(f"  time       {time}")
    for note in batch.notes:
        render_output.note(f"  note       {terminal_text.one_line(note)}")
    render_output.note(f"  results    {results}, written when all lines have ended")
    render_output.note(f"  next       ktjob wait {handed.job_id}, or the same command with --wait")


def _print_end(end: Snapshot, options: Options, *, quiet: bool) -> int:
    if end.state == "SUCCEEDED":
        if not quiet:
            took = units.duration(end.seconds())
            render_output.note(
                f"all lines answered in {took}: {terminal_text.one_line(options.results)}"
            )
    else:
        render_output.note(job_details.final_line(end))
    if not quiet:
        answer_text.remark(end, "")
    return exit_codes.code_of_job(end.state, end.cause)
