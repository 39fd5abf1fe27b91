"""`ktjob rm`, `gc` and `backup`: keeping the state directory in order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import click

from jobs.errors import NoSuchJob
from jobs.store.state_dir import StateDir
from ktclient.cli import exit_codes
from ktclient.cli.render import screen
from ktclient.config import settings as config
from ktclient.errors import BadInput
from ktclient.records import access
from ktclient.records.snapshot import SCHEMA

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SIZES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_LONGEST_DAYS = 36_500


@click.command()
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def rm(job_ids: tuple[str, ...], as_json: bool) -> None:
    """Forget finished jobs: their documents, answers and logs. All of them or none."""
    from jobs.model import Status
    from jobs.upkeep import garbage

    state = config.load().state
    with access.told(state, job_ids[0]) as store:
        found = [store.find(job_id) for job_id in job_ids]
    for job in found:
        if job.status is not Status.FINISHED:
            raise garbage.not_ended(job.id)
        if job.parent is not None:
            raise garbage.is_part(job)
    ids = list(dict.fromkeys(job.id for job in found))
    for job_id in ids:
        garbage.forget(state, job_id)
        screen.say(f"removed {job_id}")
    if as_json:
        _put_removed(ids, dry_run=False)
    _give_back(state)


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
        screen.say("0 jobs removed: there is no database yet")
        if as_json:
            _put_removed([], dry_run=dry_run)
        return exit_codes.SUCCEEDED
    ids = _old(state, age) if age is not None else []
    tell = (lambda job_id: None) if as_json else screen.put
    _forget(state, ids, dry_run, tell)
    if size is not None:
        ids += _shrink(state, size, ids, dry_run, tell)
    if as_json:
        _put_removed(ids, dry_run=dry_run)
    screen.say(f"{len(ids)} jobs {'would be ' if dry_run else ''}removed")
    return exit_codes.SUCCEEDED if dry_run else _tidy(state, size)


def _put_removed(ids: list[str], *, dry_run: bool) -> None:
    screen.put(json.dumps({"schema": SCHEMA, "removed": ids, "dry_run": dry_run}))


def _what_gc_needs(state: StateDir) -> str:
    from jobs.upkeep import garbage

    needs = "say which jobs to forget: --older-than 30d (by age) or --keep-size 2GB (the oldest)"
    if not state.has_database():
        return f"{needs}. There is no database yet"
    with garbage.Upkeep.open(state) as store:
        held = store.holdings()
    told = f"{needs}. {state.database} holds {held.jobs} jobs in {_told(held.size)}"
    if held.oldest:
        told += f"; {held.finished} have ended, the first on {screen.local_time(held.oldest)}"
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
        _forget(state, ids, dry_run, tell)
        removed += ids
        if dry_run or not ids:
            return removed


def _forget(state: StateDir, ids: list[str], dry_run: bool, tell: Callable[[str], None]) -> None:
    from jobs.upkeep import garbage

    for job_id in ids:
        if not dry_run:
            try:
                garbage.forget(state, job_id)
            except NoSuchJob:  # another gc was faster
                continue
        tell(job_id)


def _tidy(state: StateDir, size: int | None) -> int:
    from jobs.upkeep import garbage

    garbage.sweep(state)
    _give_back(state)
    with garbage.Upkeep.open(state) as store:
        held = store.holdings()
    if size is not None and held.size > size:
        screen.say(f"{_told(held.size)} are left: {held.jobs} jobs that have not ended")
        return exit_codes.FAILED
    return exit_codes.SUCCEEDED


def _give_back(state: StateDir) -> None:
    from jobs.upkeep import garbage

    with garbage.Upkeep.open(state) as store:
        kept = store.give_back()
    if kept > _SIZES["M"]:
        screen.say(f"{_told(kept)} stay in the file for new jobs; while none runs, gc returns them")


def _told(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


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
    return int(float(told[1]) * _SIZES[told[2]])


@click.command()
@click.argument("file")
def backup(file: str) -> None:
    """Copy the job database to FILE, while it is in use."""
    from jobs.upkeep import garbage

    if file == "-":
        raise BadInput("a database is not written to standard output; name a file, or ./-")
    state = config.load().state
    if not state.has_database():
        raise BadInput(f"there is nothing to copy: {state.database} is made by the first job")
    with garbage.Upkeep.open(state) as store:
        store.backup(Path(file).absolute())
    screen.say(f"copied {state.database} to {file}")
