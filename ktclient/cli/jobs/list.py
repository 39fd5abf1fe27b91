"""`ktjob list`: find jobs by state, time, label, server or text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from ktclient import wording
from ktclient.cli import command_settings
from ktclient.cli.jobs import selection
from ktclient.cli.render import job_details, job_table, output, progress_line, terminal
from ktclient.records import access

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from jobs.store.job_queries import Filter
    from jobs.store.store import Store
    from ktclient.cli.jobs.selection import Filters
    from ktclient.records.search import Listing, Words


@click.command(name="list")
@selection.filters
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(0, 10**9),
    default=50,
    metavar="N",
    help="Maximum number of jobs (default 50); 0: all.",
)
@click.option("--parts", is_flag=True, help="Include jobs that are parts of other jobs.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_(limit: int, parts: bool, as_json: bool, **given: Unpack[Filters]) -> None:
    """List jobs, newest first. Filters are combined with AND.

    --search looks in names, labels, questions, answers and error messages, in any language,
    ignoring case, and shows where it found the words. With --in documents it reads the documents
    too, those of the newest jobs first.
    """
    from ktclient.records import selector

    wanted = selector.parse(**given, is_all=True)
    chosen = replace(wanted.wanted, parts=parts)
    found = _listing(chosen, wanted.search, limit or None, with_documents=wanted.in_documents)
    if as_json:
        output.print_data(job_details.json_text(_records(found)))
    elif found.jobs:
        _print_table(found)
    else:
        output.note("no job matches" if wanted.has_filter or parts else "no jobs yet")
    if (more := found.total - len(found.jobs)) > 0:
        output.note(f"… and {more:,} more; show all with -n 0")


def _listing(
    wanted: Filter, search: str | None, most: int | None, *, with_documents: bool
) -> Listing:
    from ktclient.records import search as records_search
    from ktclient.records import selector

    words = None if search is None else records_search.Words(search)
    state = command_settings.state()
    if not state.is_stored():  # looking creates nothing
        return records_search.Listing([], [], 0)
    with access.open_recovered(state) as store:
        chosen = selector.resolved(store, wanted)
        if words is None or not with_documents:
            return records_search.listing(store, chosen, words, most)
        return _with_documents(store, chosen, words, most)


def _with_documents(store: Store, wanted: Filter, words: Words, most: int | None) -> Listing:
    """The same over the documents, with a line of progress on a terminal."""
    from ktclient.records import search as records_search

    with progress_line.line(is_silent=not terminal.is_interactive()) as line:

        def tell(count: int, size: int) -> None:
            read = wording.count(count, "document")
            line.start(f"searching documents: {read}, {size / 1e6:,.0f} MB", "", None, None)

        documents = records_search.Documents(store, words, tell)
        found = records_search.listing(store, wanted, words, most, documents)
    selection.note_unread(documents.unread)
    return found


def _records(found: Listing) -> list[dict[str, object]]:
    records = [job.to_dict() for job in found.jobs]
    for record, hit in zip(records, found.found, strict=False):
        record["found"] = {"where": hit.where, "text": hit.text}
    return records


def _print_table(found: Listing) -> None:
    hits = [f"{hit.where}: {hit.text}" for hit in found.found]
    lines = job_table.of_jobs(
        found.jobs, terminal.columns(), coloured=terminal.is_coloured(), submitted=True, found=hits
    )
    output.print_painted("\n".join(lines))
