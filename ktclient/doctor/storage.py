"""Check where jobs are stored: the state directory, its disk and database, and the clock."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from jobs import durations
from jobs.errors import StoreDamaged
from jobs.store import diagnosis
from jobs.system import filesystem
from ktclient import wording
from ktclient.config.settings import Settings
from ktclient.doctor.finding import Finding, fail, ok, warn
from ktclient.doctor.machine import Machine

LEAST_STATE_BYTES = 200_000_000
FEW_STATE_BYTES = 1_000_000_000
WEIGHTS_BYTES = 300_000_000
"""Peak disk use of downloading the embedded model."""
CLOCK_SLACK_SECONDS = 60.0
_NEWEST = 20
_SWEPT = ("tmp", "var/tmp")
"""systemd-tmpfiles (tmpfiles.d/tmp.conf: after 10 and 30 days) and tmpreaper delete there."""
_IN_MEMORY = ("tmpfs", "ramfs")


def state(settings: Settings, machine: Machine) -> Iterator[Finding]:
    root = settings.state.root
    there = _existing(root)
    kind = filesystem.type_of(root, machine.mounts)
    is_risky = filesystem.is_network(kind) or filesystem.is_unknown_fuse(kind)
    elsewhere = "set KTJOB_HOME to a writable folder on a local disk"
    if is_risky:
        found = f"{root} is on {kind}, where SQLite fails or corrupts"
        yield fail("state", found, elsewhere)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        found = f"{root} cannot be used: {there} is not a writable folder"
        yield fail("state", found, elsewhere)
        return
    mode = stat.S_IMODE(there.stat().st_mode)
    if there == root and mode & 0o022:
        found = f"{root} has mode {mode:04o}: other users may write to it"
        yield fail("state", found, f"chmod 700 {root}")
    elif there == root and mode & 0o077:
        found = f"{root} has mode {mode:04o}: other users may read it"
        yield warn("state", found, f"chmod 700 {root}")
    elif kind in _IN_MEMORY:
        found = f"{root} is on {kind}, in memory: a reboot loses every job"
        yield warn("state", found, elsewhere)
    elif sweeper := _sweeper(root, machine):
        found = f"{root} is below {sweeper}, where old files are deleted (systemd-tmpfiles, cron)"
        yield warn("state", found, elsewhere)
    elif not is_risky:
        found = "is writable and private" if there == root else "is created by the first job"
        yield ok("state", f"{root} {found}")


def owner(settings: Settings, machine: Machine) -> Iterator[Finding]:
    """Files of another user in the state directory, which the queue cannot open. Reported only if
    there are any."""
    root = settings.state.root
    if not root.is_dir() or root.stat().st_uid != machine.uid:
        return
    folders = (root, *(root / name for name in ("workers", "logs", "watch", "keys", "server")))
    files = (file for folder in folders if folder.is_dir() for file in folder.iterdir())
    theirs = [file for file in files if file.lstat().st_uid != machine.uid]
    if theirs:
        found = f"{wording.count(len(theirs), 'file')} of another user in {root}, {theirs[0]} first"
        yield fail("owner", found, f"sudo chown -R {machine.uid} {root}")


def modes(settings: Settings, _: Machine) -> Iterator[Finding]:
    """Files and folders of the queue that are not private. Reported only if there are any."""
    root = settings.state.root
    if not os.access(root, os.R_OK | os.X_OK):
        return
    every = (entry for entry in root.iterdir() if not entry.is_symlink())
    is_open = [one for one in every if stat.S_IMODE(one.lstat().st_mode) & 0o077]
    if is_open:
        found = f"{wording.count(len(is_open), 'file')} in {root} may be used by other users, "
        found += f"{is_open[0]} first"
        yield warn("modes", found, f"chmod -R go= {root}")


def _sweeper(root: Path, machine: Machine) -> Path | None:
    folders = ((machine.root / folder).resolve() for folder in _SWEPT)
    place = root.resolve()
    return next((folder for folder in folders if place.is_relative_to(folder)), None)


def _existing(path: Path) -> Path:
    """The path itself, or its nearest existing parent."""
    return next(place for place in (path, *path.parents) if os.path.lexists(place))


def disk(settings: Settings, machine: Machine) -> Iterator[Finding]:
    root = settings.state.root
    free = machine.free_bytes(_existing(root))
    found = f"{_megabytes(free)} free for {root}"
    cure = (
        "free some space (ktjob gc --older-than 30d), or set KTJOB_HOME to a folder on another disk"
    )
    if free < LEAST_STATE_BYTES:
        yield fail("disk", found, cure)
    elif free < FEW_STATE_BYTES:
        yield warn("disk", found, cure)
    else:
        yield ok("disk", found)


def cache(settings: Settings, machine: Machine) -> Iterator[Finding]:
    from server_bundle.embedded.weights import SMOLLM2

    path = settings.cache / "models" / SMOLLM2.file_name
    if path.exists():
        yield ok("cache", f"{path} is present")
        return
    free = machine.free_bytes(_existing(settings.cache))
    found = f"{_megabytes(free)} free for {settings.cache}"
    if free < WEIGHTS_BYTES:
        found += f"; downloading the embedded model needs {_megabytes(WEIGHTS_BYTES)}"
        yield warn("cache", found, "free some space, or set KTJOB_CACHE")
    else:
        yield ok("cache", f"{found}; the embedded model is not downloaded yet")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size < 10_000_000 else f"{size / 1e6:,.0f} MB"


def database(settings: Settings, _: Machine) -> Iterator[Finding]:
    from jobs.upkeep.garbage import Upkeep

    path = settings.state.database
    if not settings.state.has_database():
        settings.state.require_in_sight()
        yield ok("database", f"{path} is created by the first job")
        return
    try:
        with Upkeep.open_to_read(settings.state) as upkeep:
            problems = upkeep.problems()
            original = upkeep.original
    except StoreDamaged as error:
        problems, original = [str(error)], None
    if original is not None:
        found = str(diagnosis.copied(path, original.path))
        yield warn("database", found, "stop the original, then: ktjob adopt")
    cure = f"move {path} and its -wal and -shm files away (all three), then restore a backup (made "
    cure += "by ktjob backup) in its place"
    for problem in problems:
        yield fail("database", f"{path}: {problem}", cure)
    if not problems:
        files = (path, path.with_name(f"{path.name}-wal"))
        size = sum(file.stat().st_size for file in files if file.exists())
        yield ok("database", f"{path} is intact ({_megabytes(size)})")


def clock(settings: Settings, _: Machine) -> Iterator[Finding]:
    from jobs import clock as jobs_clock
    from jobs.store.store import Store

    newest = ""
    if settings.state.has_database():
        with Store.open_to_read(settings.state) as store:
            for job in store.newest(_NEWEST):
                times = (job.created_at, job.started_at, job.finished_at)
                events = (event.at for event in store.events(job.id))
                newest = max([newest, *(time for time in times if time), *events])
    ahead = jobs_clock.seconds_between(jobs_clock.now(), newest) if newest else 0.0
    if ahead > CLOCK_SLACK_SECONDS:
        found = (
            f"the newest stored time, {newest}, is {durations.rough(ahead)} s ahead of the clock"
        )
        cure = "check the clock (timedatectl): it was set back; durations shown may be wrong"
        yield warn("clock", found, cure)
    else:
        yield ok("clock", "no stored time is in the future")
