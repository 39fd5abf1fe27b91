"""The words by which every command names jobs: IDs, `@last`, and the filters of `ktjob list`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypedDict, TypeVar

import click

from ktclient import wording
from ktclient.cli import command_settings
from ktclient.cli.render import output, terminal
from ktclient.errors import BadInput

if TYPE_CHECKING:
    from jobs.model import Job
    from jobs.store.store import Store
    from ktclient.records.selector import Scope, Selected, Selector

Command = TypeVar("Command", bound="Callable[..., object]")

_FILTERS = (
    click.option(
        "--state",
        "states",
        multiple=True,
        metavar="S",
        help="Jobs in this state: queued, running, succeeded, failed … or ended; repeatable.",
    ),
    click.option(
        "--since", metavar="TIME", help="Jobs submitted since: 2d, 12h, yesterday, 2026-11-20."
    ),
    click.option("--until", metavar="TIME", help="Jobs submitted before this time."),
    click.option("--group", metavar="G", help="Jobs of this group, submitted by one command."),
    click.option(
        "--search",
        metavar="WORDS",
        help='Jobs that contain all these words; "in quotes" matches a phrase.',
    ),
    click.option(
        "--in",
        "places",
        type=click.Choice(["documents"]),
        help="Where --search looks too: in the texts of the documents.",
    ),
)
_LABEL = click.option(
    "--label", metavar="PATTERN", help="Jobs with this label; * and ? are wildcards."
)
_SERVER = click.option(
    "--server", metavar="URL", help="Jobs on this server; a part of its URL is enough."
)
_WHERE_LABEL = click.option(
    "--where-label", metavar="PATTERN", help="Jobs that have this label; * and ? are wildcards."
)
_WHERE_SERVER = click.option(
    "--where-server", metavar="URL", help="Jobs that are on this server; a part of its URL."
)
_IDS = click.argument("job_ids", nargs=-1, metavar="[ID]...")
_ALL = click.option("--all", "is_all", is_flag=True, help="All jobs that the command can act on.")
_YES = click.option("-y", "--yes", is_flag=True, help="Do not ask before it acts on --all.")


class _Filters(TypedDict):
    states: tuple[str, ...]
    since: str | None
    until: str | None
    group: str | None
    search: str | None
    places: str | None


class Filters(_Filters):
    """The values of the filters, by parameter name."""

    label: str | None
    server: str | None


class Given(Filters):
    """The values of all that names jobs."""

    job_ids: tuple[str, ...]
    is_all: bool


class Named(_Filters):
    """The same beside an option --server that has another meaning."""

    label: str | None
    job_ids: tuple[str, ...]


class Where(_Filters):
    """The same beside options --label and --server that are set."""

    where_label: str | None
    where_server: str | None
    job_ids: tuple[str, ...]
    is_all: bool


def filters(command: Command) -> Command:
    """Add the filters to a command."""
    return _added(command, (*_FILTERS, _LABEL, _SERVER))


def options(command: Command) -> Command:
    """Add IDs, the filters and `--all` to a command."""
    return _IDS(filters(_ALL(command)))


def asking(command: Command) -> Command:
    """The same for a command that asks before it acts on `--all`."""
    return options(_YES(command))


def beside_server(command: Command) -> Command:
    """Add IDs and filters to a command that has a --server of its own, and can act without any."""
    return _IDS(_added(command, (*_FILTERS, _LABEL)))


def asking_for_changes(command: Command) -> Command:
    """The same as `asking` for a command whose --label and --server are what it sets."""
    return _IDS(_added(_ALL(_YES(command)), (*_FILTERS, _WHERE_LABEL, _WHERE_SERVER)))


def _added(command: Command, several: Sequence[Callable[[Command], Command]]) -> Command:
    for option in reversed(several):
        command = option(command)
    return command


def is_group(word: str) -> bool:
    """Whether a word names a group of jobs."""
    from ktclient.records import selector

    return selector.is_group(word)


def of_where(given: Where) -> Given:
    """The same as a command without options of its own that are called label and server."""
    return {
        "job_ids": given["job_ids"],
        "states": given["states"],
        "since": given["since"],
        "until": given["until"],
        "group": given["group"],
        "search": given["search"],
        "places": given["places"],
        "label": given["where_label"],
        "server": given["where_server"],
        "is_all": given["is_all"],
    }


def parse(given: Given) -> Selector:
    """The selector that was typed. Raises `BadInput`."""
    from ktclient.records import selector

    return selector.parse(
        given["job_ids"],
        states=given["states"],
        since=given["since"],
        until=given["until"],
        label=given["label"],
        server=given["server"],
        search=given["search"],
        places=given["places"],
        group=given["group"],
        is_all=given["is_all"],
    )


@contextmanager
def open_selected(wanted: Selector, scope: Scope | None = None) -> Iterator[tuple[Store, Selected]]:
    """The job store, and the jobs that are meant; `scope` is that of jobs that are not named.

    Raises `NoSuchJob`, `AmbiguousId` and `BadInput`.
    """
    from ktclient.records import access, selector

    name = wanted.words[0] if len(wanted.words) == 1 else ""
    with access.open_recovered(command_settings.state(), name) as store:
        found = selector.select(store, wanted, scope or selector.Scope.ANY)
        note_unread(found.unread)
        yield store, found


def note_unread(documents: int) -> None:
    """Say how many documents a search did not read, if any."""
    if not documents:
        return
    from ktclient.records import search

    output.note(
        f"{wording.count(documents, 'older document')} not searched: one search reads "
        f"{search.MOST_BYTES / 1e6:,.0f} MB. Narrow it with --until, --label or --group"
    )


def is_confirmed(wanted: Selector, jobs: Sequence[Job], what: str, *, is_sure: bool) -> bool:
    """Ask before a command acts on `--all`. `what` is the verb; `is_sure`: `--yes` was given.

    Raises `BadInput` where there is no terminal to ask on.
    """
    if is_sure or not wanted.is_all or not jobs:
        return True
    count = wording.count(len(jobs), "job")
    if not (sys.stdin is not None and sys.stdin.isatty() and terminal.is_interactive()):
        raise BadInput(f"--all would {what} {count}; to do that without a question, add --yes")
    return click.confirm(f"{what.capitalize()} {count}?", err=True)


def note_passed_over(found: Selected, scope: Scope) -> None:
    """Say how many jobs match and were left as they are."""
    if found.passed_over:
        jobs = wording.count(found.passed_over, "job")
        output.note(f"note: {jobs} left out: only those that {scope.value} are taken")
