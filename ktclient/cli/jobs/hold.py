"""`ktjob hold`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient.cli.jobs import control, selection

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ktclient.cli.jobs.selection import Given


@click.command()
@selection.options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or a list.")
def hold(as_json: bool, **given: Unpack[Given]) -> int:
    """Keep queued jobs from starting until `ktjob release`. Others pass them.

    Of a running split document or batch that is named, the parts that wait are held. A job whose
    request was sent is refused: to end it, use `ktjob cancel`.
    """
    return control.hold(selection.parse(given), as_json)
