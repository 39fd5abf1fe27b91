"""`ktjob release`."""

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
def release(as_json: bool, **given: Unpack[Given]) -> int:
    """Let held jobs start, each at its old place in the queue."""
    return control.release(selection.parse(given), as_json)
