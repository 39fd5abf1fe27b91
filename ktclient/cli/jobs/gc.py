"""`ktjob rm`, `gc` and `backup`: delete finished jobs, copy the database."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import click

from jobs.store.state_dir import StateDir
from ktclient import wording
from ktclient.cli import command_settings, exit_codes
from ktclient.cli.jobs import removal
from ktclient.cli.jobs.removal import SIZES
from ktclient.cli.render import output, units
from ktclient.errors import BadInput

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST_DAYS = 36_500


@click.command()
@click.option(
    "--older-than", metavar="AGE", help="Delete jobs that ended longer ago: 12h, 30d, 8w."
)
@click.option(
    "--keep-size",
    metavar="SIZE",
    help="Delete the oldest jobs until the database is this small: 500MB, 2GB.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def gc(older_than: str | None, keep_size: str | None, dry_run: bool, as_json: bool) -> int:
    """Delete finished jobs by age or by database size, and reclaim their disk space."""
    age = None if older_than is None else _age(older_than)
    size = None if keep_size is None else _size(keep_size)
    state = command_settings.state()
    if age is None and size is None:
        raise BadInput(_what_gc_needs(state))
    if not state.is_stored():
        output.note("0 jobs deleted: there is no database yet")
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
    output.note(f"{wording.count(len(ids), 'job')} {'would be ' if dry_run else ''}deleted")
    return exit_codes.SUCCEEDED if dry_run else _tidy(state, size)


def _what_gc_needs(state: StateDir) -> str:
    from jobs.upkeep import garbage

    needs = "choose the jobs to delete: --older-than 30d (by age) or --keep-size 2GB (the oldest)"
    if not state.is_stored():
        return f"{needs}. There is no database yet"
    with garbage.Upkeep.open(state) as store:
        held = store.holdings()
    jobs, size = wording.count(held.jobs, "job"), removal.size_text(held.size)
    about = f"{needs}. {state.database} holds {jobs} in {size}"
    if held.oldest:
        about += f"; {held.finished} of them ended, the first on {units.local_time(held.oldest)}"
    return about


def _old(state: StateDir, age: timedelta) -> list[str]:
    from jobs.upkeep import garbage

    with garbage.Upkeep.open(state) as store:
        return store.finished_before(age.total_seconds())


def _shrink(
    state: StateDir, size: int, gone: list[str], dry_run: bool, tell: Callable[[str], None]
) -> list[str]:
    """Delete the oldest jobs until the rest fits. Their sizes are estimates, so look again."""
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
        jobs, have = wording.count(held.jobs, "job"), "has" if held.jobs == 1 else "have"
        size_left = removal.size_text(held.size)
        output.note(f"{size_left} are left, used by {jobs} that {have} not ended")
        return exit_codes.FAILED
    return exit_codes.SUCCEEDED


def _age(text: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,9})([mhdw])", text.strip())
    if found is None:
        raise BadInput(f"--older-than {text}: write a number with m, h, d or w, such as 30d")
    unit = timedelta(**{_UNITS[found[2]]: 1})
    if int(found[1]) > timedelta(days=_LONGEST_DAYS) / unit:
        raise BadInput(f"--older-than {text}: that is more than a century")
    return int(found[1]) * unit


def _size(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([KMGT]?)B?", text.strip().upper())
    if found is None:
        raise BadInput(f"--keep-size {text}: write a number with MB or GB, such as 2GB")
    return int(float(found[1]) * SIZES[found[2]])
