"""`ktjob check`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from ktclient.cli import asked, defaults, describing, exits, live, screen

if TYPE_CHECKING:
    from typing_extensions import Unpack


@click.command(cls=defaults.WithDefaults)
@asked.asked
def check(
    files: tuple[str, ...],
    join: bool,
    raw: bool,
    encoding: str | None,
    as_json: bool,
    **given: Unpack[asked.Asked],
) -> int:
    """Check whether FILE fits the server and estimate the time, without submitting it.

    Takes the options of `submit`. Exit code 0 if it fits, in one request or in parts; 7 if not.
    """
    from ktclient import collection, config, handover
    from ktclient.snapshot import SCHEMA

    options = asked.options_of(given)
    given_files = collection.gather(files, join=join, raw=raw, encoding=encoding)
    documents = given_files.documents
    with live.line() as line:
        before = handover.forecast_all(documents, options, config.load(), line.download)
    # Of several questions about a document, the longest request decides.
    found = [max(of_it, key=lambda one: one.count.high) for of_it in before]
    if as_json:
        records = [{"schema": SCHEMA, **one.to_dict()} for one in found]
        screen.put(json.dumps(records[0] if len(records) == 1 else records, ensure_ascii=False))
    else:
        for document, one in zip(documents, found, strict=True):
            title = "" if len(documents) == 1 else f"  {screen.one_line(document.title)}"
            screen.put(f"{one.verdict.kind.value}: {one.count} tokens{title}")
        describing.tell_passed_over(given_files)
        describing.describe_all(documents, [one for of_it in before for one in of_it])
        if found[0].expected is None:
            screen.say(f"  time       {found[0].time}")
    fits = all(one.can_run for one in found)
    return exits.SUCCEEDED if fits else exits.DOES_NOT_FIT
