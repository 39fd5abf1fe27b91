"""`ktjob wait`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient.cli import exit_codes
from ktclient.cli.jobs import selection, waiting
from ktclient.cli.render import job_details, output

if TYPE_CHECKING:
    from typing_extensions import Unpack

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
    with selection.open_selected(wanted, scope) as (_, found):
        ids = [job.id for job in found.jobs]
    if not ids:
        output.note("no job has to be waited for: all have ended")
    is_list = not wanted.is_one
    if prints:
        return waiting.wait_and_print(ids, as_json=as_json, timeout=timeout, is_list=is_list)
    ends = waiting.watch_all(
        ids, timeout, named="" if wanted.has_filter else " ".join(wanted.words)
    )
    waiting.print_ends(ends)
    if as_json:
        records = [end.to_dict() for end in ends]
        output.print_data(job_details.json_text(records if is_list else records[0]))
    return exit_codes.code_of_jobs((end.state, end.cause) for end in ends)
