"""`ktjob serve keys`: who may use the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from jobs import clock
from ktclient import times, wording
from ktclient.cli import command_settings
from ktclient.cli.render import columns, output, terminal, units
from ktclient.errors import BadInput

if TYPE_CHECKING:
    from jobs.store.http.values import ApiKey


@click.group()
def keys() -> None:
    """Make, list and remove the API keys of the gateway.

    Once there is a key, every request needs one. A key sees its own jobs and files only.
    """


@keys.command()
@click.argument("name")
@click.option("--expires", metavar="TIME", help="When it ends: 30d, 12h, 2027-01-31.")
@click.option("--admin", is_flag=True, help="It sees all jobs and files, not only its own.")
def add(name: str, expires: str | None, admin: bool) -> None:
    """Make a key and print it. It is not shown again: only its hash is stored."""
    from jobs.store.http.store import HttpStore
    from ktclient.gateway.access import keys as api_keys

    api_keys.check_name(name)
    ends = None if expires is None else _end(expires)
    key = api_keys.make()
    with HttpStore.open(command_settings.state()) as store:
        is_new = store.add_api_key(
            api_keys.make_id(), name, api_keys.hash_of(key), is_admin=admin, expires_at=ends
        )
    if not is_new:
        raise BadInput(f"there is a key {name} already: ktjob serve keys rm {name} removes it")
    output.print_data(key)
    output.note(f"this is the key of {name}. Copy it now: it is not shown again")


def _end(text: str) -> str:
    """A time in the future in the store's format; a span counts from now. Raises `BadInput`."""
    given = text.strip()
    is_span = given[:1].isdigit() and given[-1:] in ("s", "m", "h", "d", "w")
    return clock.of(times.parse_future(f"+{given}" if is_span else given))


@keys.command(name="list")
def list_() -> None:
    """List the keys: age, end, rights and number of jobs. The keys themselves are not stored."""
    from jobs.store.http.store import HttpStore

    store = HttpStore.open_if_any(command_settings.state())
    if store is None:
        found, jobs = [], {}
    else:
        with store:
            found, jobs = store.api_keys(), store.jobs_of_owners()
    if not found:
        output.note("no keys yet: ktjob serve keys add NAME makes one")
        return
    for line in columns.drawn(_table(found, jobs), terminal.columns()):
        output.print_data(line)


def _table(keys_: Sequence[ApiKey], jobs: dict[str, int]) -> list[columns.Column]:
    now = clock.now()
    ages = [wording.spoken(max(0.0, clock.seconds_between(k.created_at, now))) for k in keys_]
    return [
        columns.Column("NAME", [key.name for key in keys_], 100),
        columns.Column("AGE", ages, 60, is_right=True),
        columns.Column("EXPIRES", [_expiry(key, now) for key in keys_], 80),
        columns.Column("RIGHTS", ["admin" if key.is_admin else "own" for key in keys_], 90),
        columns.Column("JOBS", [f"{jobs.get(key.id, 0):,}" for key in keys_], 70, is_right=True),
    ]


def _expiry(key: ApiKey, now: str) -> str:
    if key.expires_at is None:
        return "never"
    at = units.local_time(key.expires_at)
    return f"expired {at}" if key.expires_at <= now else at


@keys.command()
@click.argument("name")
def rm(name: str) -> None:
    """Remove a key: its requests are refused from now on, and its open streams end."""
    from jobs.store.http.store import HttpStore

    with HttpStore.open(command_settings.state()) as store:
        was_there = store.remove_api_key(wording.typed_text(name, "NAME"))
        is_last = not store.api_keys()
    if not was_there:
        raise BadInput(f"there is no key {wording.quote(name)}: ktjob serve keys list")
    output.note(f"removed the key {name}. Its jobs and files stay: ktjob list")
    if is_last:
        output.note(
            "that was the last key. A running gateway still asks for keys; one that is started now "
            "needs none, and listens on this machine only"
        )
