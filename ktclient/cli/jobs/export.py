"""`ktjob export`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient import wording
from ktclient.cli import command_settings, exit_codes
from ktclient.cli.jobs import selection
from ktclient.cli.render import output as render_output

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from jobs.store.store import Store
    from ktclient.cli.jobs.selection import Given


@click.command()
@selection.options
@click.option("-o", "--output", metavar="FILE", help='Write to FILE ("-" for stdout, the default).')
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "html", "json", "jsonl", "csv"]),
    help="The format (default: by the name of FILE; md on stdout).",
)
@click.option("--with-documents", is_flag=True, help="Also export the texts of the documents.")
@click.option("--with-thoughts", is_flag=True, help="Also export the models' thoughts.")
@click.option("--force", is_flag=True, help="Replace FILE even if ktjob did not write it.")
def export(
    output: str | None,
    form: str | None,
    with_documents: bool,
    with_thoughts: bool,
    force: bool,
    **given: Unpack[Given],
) -> int:
    """Write ended jobs to a file: questions, answers, documents' names, figures.

    md, html and csv are for people; `ktjob import` reads json and jsonl. Keys and notifications are
    never exported. With a filter, a group or --all, jobs that have not ended are left out.
    """
    from ktclient.exports import file
    from ktclient.exports.record import Contents
    from ktclient.records import written_files
    from ktclient.records.selector import Scope
    from ktclient.records.written_files import Output

    wanted, chosen = selection.parse(given), file.format_of(output, form)
    contents = Contents(documents=with_documents, thoughts=with_thoughts)
    with selection.open_selected(wanted, Scope.ENDED) as (store, found):
        file.require_ended(found.jobs)
        if output is not None:
            written_files.require_no_source(output, found.jobs)
        if not found.jobs:
            render_output.note("no job has ended yet; nothing was exported")
            return exit_codes.FAILED
        left_out = _open(store) if wanted.is_all and not wanted.has_filter else 0
        text = file.pieces(store, found.jobs, chosen, contents)
        if output is None:
            for piece in text:
                render_output.print_part(piece)
        else:
            ids = tuple(job.id for job in found.jobs)
            file.write(command_settings.state(), Output(output, ids, force), text)
    if output is not None and output != "-":
        render_output.note(f"{output}: {wording.count(len(found.jobs), 'job')}")
    selection.note_passed_over(found, Scope.ENDED)
    if left_out:
        has = "has not ended is" if left_out == 1 else "have not ended are"
        render_output.note(f"{wording.count(left_out, 'job')} that {has} left out")
    return exit_codes.SUCCEEDED


def _open(store: Store) -> int:
    """How many jobs have not ended: an export of all would seem to have these too."""
    from jobs.store.job_queries import Filter

    return store.count(Filter(states=("QUEUED", "RUNNING")))
