"""`ktjob open`: page through a job's answer, document or log, or print its path."""

from __future__ import annotations

import click

from jobs import child_environment
from ktclient.cli import command_settings, exit_codes, log_end
from ktclient.cli.jobs import lookup
from ktclient.cli.render import job_details, output, terminal, terminal_text
from ktclient.errors import NotFinished
from ktclient.records import export
from ktclient.records.export import JobFiles
from ktclient.records.output_schema import SCHEMA

_WHAT = ("answer", "document", "log", "folder")


@click.command(name="open")
@click.argument("job_id", metavar="ID")
@click.argument("what", type=click.Choice(_WHAT), default="answer", metavar="[WHAT]")
@click.option("--path", is_flag=True, help="Print a path, also on a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with all paths.")
def open_(job_id: str, what: str, path: bool, as_json: bool) -> int:
    """Show the answer of job ID, or with WHAT its document, its log or the state folder.

    On a terminal the text opens in $PAGER. In a pipe, or with --path, the path of a copy in the
    state directory is printed instead: code $(ktjob open ID)
    """
    state = command_settings.state()
    with lookup.open_job(job_id) as (store, job):
        found = export.collect(store, job)
    log = state.job_log(job.id)
    if as_json:
        paths = {"folder": str(state.root), "log": str(log), **_copies(job.id, found)}
        output.print_data(job_details.json_text({"schema": SCHEMA, "id": job.id, **paths}))
        return exit_codes.SUCCEEDED
    if what == "answer" and not found.answer:
        if job.finished_at is None:
            raise NotFinished(f"job {job.id} has written nothing yet; see: ktjob follow {job.id}")
        output.note(f"job {job.id} {job.state.lower()} without output; see: ktjob show {job.id}")
        return exit_codes.FAILED
    if what == "folder":
        output.print_data(str(state.root))
    elif path or terminal.columns() is None:
        output.print_data(str(log) if what == "log" else _copies(job.id, found)[what] or "")
    else:
        text = log_end.text(log) if what == "log" else ""
        shown = {"answer": found.answer, "document": found.document, "log": text}[what]
        if shown.strip():
            with child_environment.without_keys():
                click.echo_via_pager(terminal_text.safe(shown))
        else:
            output.note(f"the {what} of job {job.id} is empty")
    return exit_codes.SUCCEEDED


def _copies(job_id: str, found: JobFiles) -> dict[str, str | None]:
    """The paths of copies of the document and the answer; None where there is no text."""
    state = command_settings.state()
    each = {"document": found.document, "answer": found.answer}
    return {
        name: str(export.copy(state, job_id, name, text)) if text else None
        for name, text in each.items()
    }
