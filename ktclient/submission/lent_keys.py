"""API keys that only a submitting command's environment holds, stored for its jobs' workers.

A worker has the environment of the process that started its runner, yesterday or from another
terminal, and the next runner, after a kill or a reboot, has yet another one. So such a key is lent:
as a file for each server (0600), beside the store and never in it, until no job waits or runs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from jobs import draft, private_folder
from jobs.errors import StoreUnusable
from jobs.model import Status
from jobs.processes import identity
from jobs.store.files.opening import explained
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import wording
from ktclient.config.settings import Settings
from ktclient.errors import BadSetting
from ktclient.servers.poll_lease import key_of

_WAIT_SECONDS = 30.0
"""Seconds to wait for other submits that lend a key; each takes as long as one commit."""


@contextlib.contextmanager
def lending(settings: Settings, *servers: str) -> Iterator[None]:
    """Wraps the storing of jobs for these servers: the keys are there before the jobs, and `sweep`
    cannot delete it in between. Does nothing if every worker finds the key by itself. Raises
    `StoreUnusable`."""
    found = {server: settings.borrowed_key(server) for server in servers}
    keys = {server: key for server, key in found.items() if key is not None}
    if not keys:
        yield
        return
    lock = _locked(settings.state)
    try:
        with explained(_folder(settings.state)):
            for server, key in keys.items():
                path = _file(settings.state, server)
                draft.write(path, key, prefix=draft.prefix_of(path))
        yield
    finally:
        lock.release()


def of(state: StateDir, server: str) -> str | None:
    """The key that was lent for this server; None if there is none. Raises `BadSetting` if there
    is one that cannot be read."""
    path = _file(state, server)
    try:
        return path.read_text(encoding="utf-8") or None
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BadSetting(
            f"the API key that was submitted for {server} cannot be read from {path} "
            f"({wording.reason(error)}). Make that file readable, or submit the job again"
        ) from None


def sweep(state: StateDir) -> None:
    """Delete all lent keys, if no job waits or runs. Raises `StoreUnusable`."""
    if not _folder(state).exists():
        return
    lock = _locked(state)
    try:
        with Store.open_existing(state) as store:
            is_needed = store.has(Status.QUEUED) or store.has(Status.RUNNING)
        for path in [] if is_needed else _folder(state).glob("*.key*"):
            path.unlink(missing_ok=True)
    finally:
        lock.release()


def _locked(state: StateDir) -> identity.HeldLock:
    state.make_root()
    with explained(_folder(state)):
        private_folder.make(_folder(state))
        lock = identity.hold(_folder(state) / "lock", _WAIT_SECONDS)
    if lock is None:
        raise StoreUnusable(f"another process holds the lock {_folder(state) / 'lock'}; try again")
    return lock


def _file(state: StateDir, server: str) -> Path:
    return _folder(state) / f"{key_of(server)}.key"


def _folder(state: StateDir) -> Path:
    return state.lent_keys
