"""`ktjob rm`, `gc` and `backup`: delete finished jobs, copy the database."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import click

from jobs.layout import StateDir
from ktclient import config, truth
from ktclient.cli import exits, screen
from ktclient.errors import BadInput, NoSuchJob
from ktclient.snapshot import SCHEMA

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SIZES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_LONGEST_DAYS = 36_500


@click.command()
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def rm(job_ids: tuple[str, ...], as_json: bool) -> None:
    """Delete finished jobs with their documents, answers and logs: either all of them or none."""
    from jobs import upkeep
    from jobs.model import Status

    state = config.load().state
    with truth.told(state, job_ids[0]) as store:
        found = [store.find(job_id) for job_id in job_ids]
    for job in found:
        if job.status is not Status.FINISHED:
            raise upkeep.not_ended(job.id)
        if job.parent is not None:
            raise upkeep.is_part(job)
    ids = list(dict.fromkeys(job.id for job in found))
    for job_id in ids:
        upkeep.forget(state, job_id)
        screen.say(f"deleted {job_id}")
    if as_json:
        _put_removed(ids, dry_run=False)
    _give_back(state)


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
    state = config.load().state
    if age is None and size is None:
        raise BadInput(_what_gc_needs(state))
    if not state.has_database():
        screen.say("0 jobs deleted: there is no database yet")
        if as_json:
            _put_removed([], dry_run=dry_run)
        return exits.SUCCEEDED
    ids = _old(state, age) if age is not None else []
    tell = (lambda job_id: None) if as_json else screen.put
    _forget(state, ids, dry_run, tell)
    if size is not None:
        ids += _shrink(state, size, ids, dry_run, tell)
    if as_json:
        _put_removed(ids, dry_run=dry_run)
    screen.say(f"{len(ids)} jobs {'would be ' if dry_run else ''}deleted")
    return exits.SUCCEEDED if dry_run else _tidy(state, size)


def _put_removed(ids: list[str], *, dry_run: bool) -> None:
    screen.put(json.dumps({"schema": SCHEMA, "removed": ids, "dry_run": dry_run}))


def _what_gc_needs(state: StateDir) -> str:
    from jobs import upkeep

    needs = "say which jobs to delete: --older-than 30d (by age) or --keep-size 2GB (the oldest)"
    if not state.has_database():
        return f"{needs}. There is no database yet"
    with upkeep.Upkeep.open(state) as store:
        held = store.holdings()
    about = f"{needs}. {state.database} holds {held.jobs} jobs in {_told(held.size)}"
    if held.oldest:
        about += f"; {held.finished} have ended, the first on {screen.local_time(held.oldest)}"
    return about


def _old(state: StateDir, age: timedelta) -> list[str]:
    from jobs import upkeep

    with upkeep.Upkeep.open(state) as store:
        return store.finished_before(age.total_seconds())


def _shrink(
    state: StateDir, size: int, gone: list[str], dry_run: bool, tell: Callable[[str], None]
) -> list[str]:
    """Delete the oldest jobs until the rest fits. Their sizes are estimates, so look again."""
    from jobs import upkeep

    removed: list[str] = []
    while True:
        with upkeep.Upkeep.open(state) as store:
            ids = [one for one in store.to_fit(size) if one not in gone]
        _forget(state, ids, dry_run, tell)
        removed += ids
        if dry_run or not ids:
            return removed


def _forget(state: StateDir, ids: list[str], dry_run: bool, tell: Callable[[str], None]) -> None:
    from jobs import upkeep

    for job_id in ids:
        if not dry_run:
            try:
                upkeep.forget(state, job_id)
            except NoSuchJob:  # another gc was faster
                continue
        tell(job_id)


def _tidy(state: StateDir, size: int | None) -> int:
    from jobs import upkeep

    upkeep.sweep(state)
    _give_back(state)
    with upkeep.Upkeep.open(state) as store:
        held = store.holdings()
    if size is not None and held.size > size:
        screen.say(f"{_told(held.size)} are left, used by {held.jobs} jobs that have not ended")
        return exits.FAILED
    return exits.SUCCEEDED


def _give_back(state: StateDir) -> None:
    from jobs import upkeep

    with upkeep.Upkeep.open(state) as store:
        kept = store.give_back()
    if kept > _SIZES["M"]:
        screen.say(
            f"{_told(kept)} of free space stay in the file; to reclaim them, run ktjob gc while no "
            "job runs"
        )


def _told(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


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
    return int(float(found[1]) * _SIZES[found[2]])


@click.command()
@click.argument("file")
def backup(file: str) -> None:
    """Copy the job database to FILE, also while it is in use."""
    from jobs import upkeep

    if file == "-":
        raise BadInput("cannot write a database to standard output; name a file, or ./-")
    state = config.load().state
    if not state.has_database():
        raise BadInput(f"nothing to copy: {state.database} is created with the first job")
    with upkeep.Upkeep.open(state) as store:
        store.backup(Path(file).absolute())
    screen.say(f"copied {state.database} to {file}")
