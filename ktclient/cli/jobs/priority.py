"""`ktjob priority`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from ktclient.cli.jobs import control, selection
from ktclient.errors import BadInput

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ktclient.cli.jobs.selection import Given
    from ktclient.records.snapshot import Snapshot


@click.command()
@selection.options
@click.option("--to", "priority", type=int, metavar="N", help="Higher starts first; 0 is usual.")
@click.option("--first", is_flag=True, help="Before all other queued jobs, in the order given.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or a list.")
def priority(priority: int | None, first: bool, as_json: bool, **given: Unpack[Given]) -> int:
    """Change the priority of queued jobs, and of the parts of one that runs."""
    from ktclient.records.selector import Scope
    from ktclient.submission import queue_control

    if (priority is None) is not first:
        raise BadInput("give either --to N or --first")
    do = functools.partial(queue_control.prioritize, priority=priority)
    return control.change(selection.parse(given), Scope.WAITING, do, _said, as_json)


def _said(job: Snapshot) -> str:
    return f"job {job.id} has priority {job.priority}" + (f"; {job.blocked}" if job.blocked else "")
