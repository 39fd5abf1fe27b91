"""`ktjob edit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient.cli import command_settings, exit_codes
from ktclient.cli.jobs import change_options, selection, stored
from ktclient.cli.render import job_details, output, progress_line

if TYPE_CHECKING:
    from typing_extensions import Unpack

_MOST_LINES = 5


@click.command()
@selection.asking_for_changes
@change_options.options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or a list.")
def edit(yes: bool, as_json: bool, **given: Unpack[change_options.GivenOfSeveral]) -> int:
    """Change queued jobs: what they ask, their limits, server, label or start time.

    Their ids and places in the queue stay. Several are changed in the same way, all or none. Either
    the changes hold for the requests that are sent, or nothing is changed and the reason is
    printed: a job that has started is not changed any more.
    """
    from ktclient.api.selection import Selection
    from ktclient.records.selector import Scope
    from ktclient.submission import renewal

    settings, changes = command_settings.load(), change_options.parse(given)
    renewal.require_any(changes)
    wanted = selection.parse(selection.of_where(given))
    with selection.open_selected(wanted, Scope.WAITING) as (_, found):
        ids = [job.id for job in found.jobs]
    if not selection.is_confirmed(wanted, found.jobs, "change", is_sure=yes):
        output.note("nothing was changed")
        return exit_codes.FAILED
    with progress_line.line() as line:
        done = renewal.edit(ids, changes, settings, line.download) if ids else []
    for one in done if len(done) <= _MOST_LINES else ():
        output.note(f"job {one.id} is changed")
    if len(done) > _MOST_LINES or not done:
        output.note(f"{len(done):,} jobs changed")
    change_options.explain(done)
    stored.say_blocked(ids)
    selection.note_passed_over(found, Scope.WAITING)
    if as_json:
        records = [one.to_dict() for one in Selection.of_ids(ids, settings).statuses()]
        output.print_data(job_details.json_text(records[0] if wanted.is_one else records))
    return exit_codes.SUCCEEDED
