"""`ktjob rerun`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ktclient import wording
from ktclient.cli import command_settings, exit_codes
from ktclient.cli.jobs import change_options, selection, stored, waiting
from ktclient.cli.render import job_details, output, progress_line

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from jobs.model import Job

_MOST_LINES = 5


@click.command()
@selection.asking_for_changes
@change_options.options
@click.option("--wait", is_flag=True, help="Wait and print the answers. Ctrl-C only detaches.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or a list.")
def rerun(
    yes: bool, wait: bool, as_json: bool, **given: Unpack[change_options.GivenOfSeveral]
) -> int:
    """Run jobs again as new jobs, whatever became of them, and print the new ids.

    All that no option changes is as in the old job: document, question, server, limits, label,
    priority, notifications. Several are a group, and all are stored or none. Each call makes other
    jobs; `ktjob retry` repeats failed ones once, and reuses their finished parts.
    """
    from ktclient.api.selection import Selection
    from ktclient.submission import renewal

    settings = command_settings.load()
    wanted = selection.parse(selection.of_where(given))
    with selection.open_selected(wanted) as (_, found):
        olds = found.jobs
    if not selection.is_confirmed(wanted, olds, "run again", is_sure=yes):
        output.note("nothing was run again")
        return exit_codes.FAILED
    changes = change_options.parse(given)
    with progress_line.line() as line:
        done = renewal.rerun([job.id for job in olds], changes, settings, line.download)
    ids = [one.id for one in done]
    if ids and not (wait or as_json):
        stored.print_naming("\n".join(ids), ids)
    _explain(olds, ids)
    change_options.explain(done)
    stored.say_blocked(ids)
    if wait and ids:
        return waiting.wait_and_print(ids, as_json=as_json, is_list=not wanted.is_one)
    if as_json:
        records = [one.to_dict() for one in Selection.of_ids(ids, settings).statuses()]
        shown = job_details.json_text(records[0] if wanted.is_one else records)
        stored.print_naming(shown, ids)
    stored.say_next(ids)
    return exit_codes.SUCCEEDED


def _explain(olds: Sequence[Job], ids: Sequence[str]) -> None:
    for old, new_id in zip(olds, ids, strict=True) if len(ids) <= _MOST_LINES else ():
        output.note(f"job {new_id}: job {old.id} again")
    if len(ids) > _MOST_LINES or not ids:
        output.note(f"{wording.count(len(ids), 'new job')}")
    if open_ones := [old.id for old in olds if old.outcome is None]:
        first, *others = open_ones
        names = f"{first} and {len(others):,} more have" if others else f"{first} has"
        output.note(f"  note       job {names} not ended: both are computed")
