"""`ktjob check`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from ktclient.cli import command_settings, exit_codes, option_defaults
from ktclient.cli.jobs import submit_options
from ktclient.cli.render import forecast_text, output, progress_line, terminal_text

if TYPE_CHECKING:
    from typing_extensions import Unpack


@click.command(cls=option_defaults.WithDefaults)
@submit_options.options
def check(
    files: tuple[str, ...],
    join: bool,
    raw: bool,
    encoding: str | None,
    as_json: bool,
    **given: Unpack[submit_options.Given],
) -> int:
    """Check whether FILE fits the server and estimate the time, without submitting it.

    Takes the options of `submit`. Exit code 0 if it fits, in one request or in parts; 7 if not.
    """
    from ktclient.documents import collection
    from ktclient.planning import forecast, preflight
    from ktclient.records.output_schema import SCHEMA

    request = submit_options.parse(given).request
    given_files = collection.gather(files, join=join, raw=raw, encoding=encoding)
    documents = given_files.documents
    with progress_line.line() as line:
        before = preflight.forecast_all(documents, request, command_settings.load(), line.download)
    found = [forecast.of_several(of_it) for of_it in before]
    if as_json:
        records = [{"schema": SCHEMA, **one.to_dict()} for one in found]
        output.print_data(
            json.dumps(records[0] if len(records) == 1 else records, ensure_ascii=False)
        )
    else:
        for document, one in zip(documents, found, strict=True):
            title = "" if len(documents) == 1 else f"  {terminal_text.one_line(document.title)}"
            verdict = one.verdict.kind.value if one.can_run else "does not fit"
            output.print_data(f"{verdict}: {one.count.in_words}{title}")
        forecast_text.print_skipped(given_files)
        forecast_text.describe_all(documents, [one for of_it in before for one in of_it])
        if found[0].expected is None:
            output.note(f"  time       {found[0].time_in_line}")
    fits = all(one.can_run for one in found)
    return exit_codes.SUCCEEDED if fits else exit_codes.DOES_NOT_FIT
