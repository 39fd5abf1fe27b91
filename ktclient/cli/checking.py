"""`ktjob check`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from ktclient.cli import exits, live, screen, submitting

if TYPE_CHECKING:
    from typing_extensions import Unpack


@click.command()
@submitting.asked
def check(
    file: str,
    raw: bool,
    encoding: str | None,
    as_json: bool,
    **given: Unpack[submitting.Asked],
) -> int:
    """Say whether FILE fits the server and how long it takes, without submitting it.

    Takes the options of `submit`. Exits with 0 when it fits, with 7 when it does not.
    """
    from ktclient import config, documents, handover

    document = documents.read(file, raw=raw, encoding=encoding)
    with live.line() as line:
        before = handover.forecast(
            document, submitting.options_of(given), config.load(), line.download
        )
    found = max(before, key=lambda one: one.count.high)  # of several questions, the longest
    if as_json:
        screen.put(json.dumps(found.to_dict(), ensure_ascii=False))
    else:
        screen.put(f"{found.verdict.kind.value}: {found.count} tokens")
        submitting.describe(document, found)
        submitting.warn_of_prefills(before)
        if found.expected is None:
            screen.say(f"  time       {found.time}")
    return exits.SUCCEEDED if found.verdict.fits else exits.DOES_NOT_FIT
