"""`ktjob list`: find jobs by state, time, label, server or text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ktclient.cli import command_settings
from ktclient.cli.render import job_details, job_table, output, terminal
from ktclient.errors import BadInput
from ktclient.records import access

if TYPE_CHECKING:
    from jobs.store.job_queries import Filter
    from ktclient.records.search import Listing

_ENDED = ("SUCCEEDED", "FAILED", "CANCELLED", "LOST")
_STATES = ("QUEUED", "RUNNING", *_ENDED)


@click.command(name="list")
@click.option(
    "--state", "states", multiple=True, metavar="S", help="Jobs in this state; repeatable."
)
@click.option(
    "--since", metavar="TIME", help="Jobs submitted since: 2d, 12h, yesterday, 2026-11-20."
)
@click.option("--until", metavar="TIME", help="Jobs submitted before this time.")
@click.option("--label", metavar="PATTERN", help="Jobs with this label; * and ? are wildcards.")
@click.option(
    "--search",
    metavar="WORDS",
    help='Jobs that contain all these words; "in quotes" matches a phrase.',
)
@click.option("--server", metavar="URL", help="Jobs on this server; a part of its URL is enough.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(0, 10**9),
    default=50,
    metavar="N",
    help="Maximum number of jobs (default 50); 0: all.",
)
@click.option("--parts", is_flag=True, help="Include jobs that are parts of other jobs.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_(  # noqa: PLR0913 - a command's options
    states: tuple[str, ...],
    since: str | None,
    until: str | None,
    label: str | None,
    search: str | None,
    server: str | None,
    limit: int,
    parts: bool,
    as_json: bool,
) -> None:
    """List jobs, newest first. Filters are combined with AND.

    --search looks in names, labels, questions, answers and error messages, in any language,
    ignoring case, and shows where it found the words.
    """
    from jobs.store.job_queries import Filter
    from ktclient import times, wording

    wanted = Filter(
        states=_states(states),
        since=None if since is None else times.parse_past(since, "--since"),
        until=None if until is None else times.parse_past(until, "--until"),
        label=wording.typed_text(label, "--label"),
        pool=wording.typed_text(server, "--server"),
        parts=parts,
    )
    found = _listing(wanted, search, limit or None)
    if as_json:
        output.print_data(job_details.json_text(_records(found)))
    elif found.jobs:
        _print_table(found)
    else:
        output.note("no job matches" if wanted != Filter() or search else "no jobs yet")
    if (more := found.total - len(found.jobs)) > 0:
        output.note(f"… and {more:,} more; show all with -n 0")


def _states(given: tuple[str, ...]) -> tuple[str, ...]:
    """Parse state names: any case, several separated by commas; `ended` stands for all final
    states. Raises `BadInput`."""
    found: list[str] = []
    for given_name in (one.strip() for value in given for one in value.split(",")):
        name = given_name.upper()
        if name not in (*_STATES, "ENDED"):
            raise BadInput(
                f'--state: unknown state "{given_name}"; use one of '
                f"{', '.join(_STATES).lower()} or ended"
            )
        found += _ENDED if name == "ENDED" else [name]
    return tuple(found)


def _listing(wanted: Filter, search: str | None, most: int | None) -> Listing:
    from ktclient.records import search as records_search

    words = None if search is None else records_search.Words(search)
    state = command_settings.state()
    if not state.is_stored():  # looking creates nothing
        return records_search.Listing([], [], 0)
    with access.open_recovered(state) as store:
        return records_search.listing(store, wanted, words, most)


def _records(found: Listing) -> list[dict[str, object]]:
    records = [job.to_dict() for job in found.jobs]
    for record, hit in zip(records, found.found, strict=False):
        record["found"] = {"where": hit.where, "text": hit.text}
    return records


def _print_table(found: Listing) -> None:
    hits = [f"{hit.where}: {hit.text}" for hit in found.found]
    lines = job_table.of_jobs(
        found.jobs, terminal.columns(), coloured=terminal.is_coloured(), submitted=True, found=hits
    )
    output.print_painted("\n".join(lines))
