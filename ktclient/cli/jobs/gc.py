"""`ktjob rm`, `gc` and `backup`: keeping the state directory in order."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import click

from jobs.store.state_dir import StateDir
from ktclient.cli import exit_codes
from ktclient.cli.jobs import removal
from ktclient.cli.jobs.removal import SIZES
from ktclient.cli.render import output, units
from ktclient.config import settings as config
from ktclient.errors import BadInput

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST_DAYS = 36_500


@click.command()
@click.option("--older-than", metavar="AGE", help="Jobs that ended before: 12h, 30d, 8w.")
@click.option("--keep-size", metavar="SIZE", help="The oldest, until the rest fits: 500MB, 2GB.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def gc(older_than: str | None, keep_size: str | None, dry_run: bool, as_json: bool) -> int:
    """Forget finished jobs, by age or until the database is small enough, and give their space
    back to the disk."""
    age = None if older_than is None else _age(older_than)
    size = None if keep_size is None else _size(keep_size)
    state = config.load().state
    if age is None and size is None:
        raise BadInput(_what_gc_needs(state))
    if not state.has_database():
        output.note("0 jobs removed: there is no database yet")
        if as_json:
            removal.print_removed([], dry_run=dry_run)
        return exit_codes.SUCCEEDED
    ids = _old(state, age) if age is not None else []
    tell = (lambda job_id: None) if as_json else output.print_data
    removal.delete(state, ids, dry_run, tell)
    if size is not None:
        ids += _shrink(state, size, ids, dry_run, tell)
    if as_json:
        removal.print_removed(ids, dry_run=dry_run)
    output.note(f"{len(ids)} jobs {'would be ' if dry_run else ''}removed")
    return exit_codes.SUCCEEDED if dry_run else _tidy(state, size)


def _what_gc_needs(state: StateDir) -> str:
    from jobs.upkeep import garbage

    needs = "say which jobs to forget: --older-than 30d (by age) or --keep-size 2GB (the oldest)"
    if not state.has_database():
        return f"{needs}. There is no database yet"
    with garbage.Upkeep.open(state) as store:
        held = store.holdings()
    told = f"{needs}. {state.database} holds {held.jobs} jobs in {removal.size_text(held.size)}"
    if held.oldest:
        told += f"; {held.finished} have ended, the first on {units.local_time(held.oldest)}"
    return told


def _old(state: StateDir, age: timedelta) -> list[str]:
    from jobs.upkeep import garbage

    with garbage.Upkeep.open(state) as store:
        return store.finished_before(age.total_seconds())


def _shrink(
    state: StateDir, size: int, gone: list[str], dry_run: bool, tell: Callable[[str], None]
) -> list[str]:
    """Forget the oldest until the rest fits: by estimate, which is why it looks again."""
    from jobs.upkeep import garbage

    removed: list[str] = []
    while True:
        with garbage.Upkeep.open(state) as store:
            ids = [one for one in store.to_fit(size) if one not in gone]
        removal.delete(state, ids, dry_run, tell)
        removed += ids
        if dry_run or not ids:
            return removed


def _tidy(state: StateDir, size: int | None) -> int:
    from jobs.upkeep import garbage

    garbage.remove_orphans(state)
    removal.give_back(state)
    with garbage.Upkeep.open(state) as store:
        held = store.holdings()
    if size is not None and held.size > size:
        output.note(
            f"{removal.size_text(held.size)} are left: {held.jobs} jobs that have not ended"
        )
        return exit_codes.FAILED
    return exit_codes.SUCCEEDED


def _age(text: str) -> timedelta:
    told = re.fullmatch(r"([0-9]{1,9})([mhdw])", text.strip())
    if told is None:
        raise BadInput(f"--older-than {text}: write a number with m, h, d or w, such as 30d")
    unit = timedelta(**{_UNITS[told[2]]: 1})
    if int(told[1]) > timedelta(days=_LONGEST_DAYS) / unit:
        raise BadInput(f"--older-than {text}: that is more than a century")
    return int(told[1]) * unit


def _size(text: str) -> int:
    told = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([KMGT]?)B?", text.strip().upper())
    if told is None:
        raise BadInput(f"--keep-size {text}: write a number with MB or GB, such as 2GB")
    return int(float(told[1]) * SIZES[told[2]])
