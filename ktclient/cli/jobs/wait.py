"""`ktjob wait`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient.cli import exit_codes
from ktclient.cli.jobs import selection, waiting
from ktclient.cli.render import job_details, output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from jobs.model import Job
    from jobs.store.store import Store
    from ktclient.cli.jobs.selection import Given


@click.command()
@selection.options
@click.option("--timeout", type=float, metavar="S", help="Maximum time to wait, in seconds.")
@click.option("--print", "prints", is_flag=True, help="Print the answers as well.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or a list.")
def wait(timeout: float | None, prints: bool, as_json: bool, **given: Unpack[Given]) -> int:
    """Wait for jobs to end and show their progress. Ctrl-C only detaches.

    Several jobs share one line of progress. The exit code is that of the first one, in the order
    given, that did not succeed. --all stands for the jobs that have not ended yet.
    """
    from ktclient.records.selector import Scope

    wanted = selection.parse(given)
    scope = Scope.OPEN if wanted.is_all else Scope.ANY
    with selection.open_selected(wanted, scope) as (store, found):
        ids = [job.id for job in found.jobs]
        headings = _headings(store, found.jobs) if prints else []
    if not ids:
        output.note("no job has to be waited for: all have ended")
    is_list = not wanted.is_one
    if prints:
        return waiting.wait_and_print(
            ids, as_json=as_json, headings=headings, timeout=timeout, is_list=is_list
        )
    ends = waiting.watch_all(
        ids, timeout, named="" if wanted.has_filter else " ".join(wanted.words)
    )
    waiting.print_ends(ends)
    if as_json:
        records = [end.to_dict() for end in ends]
        output.print_data(job_details.json_text(records if is_list else records[0]))
    return exit_codes.code_of_jobs((end.state, end.cause) for end in ends)


def _headings(store: Store, jobs: Sequence[Job]) -> list[str]:
    """With the names of the documents, if there are several."""
    from ktclient.cli.render import answer_text
    from ktclient.records import snapshot

    if len({job.title for job in jobs}) < 2:
        return []
    return [answer_text.heading(one, with_title=True) for one in snapshot.of_jobs(store, jobs)]
