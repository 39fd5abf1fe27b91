"""The running gateways of a state directory. A held lock is the proof that one lives, however it
ended; who holds it has written its address and its process into the lock file.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from jobs import clock
from jobs.model import Identity
from jobs.processes import identity
from jobs.processes.identity import HeldLock
from jobs.store.state_dir import StateDir
from ktclient._version import __version__
from ktclient.errors import BadInput

_SIGN_SECONDS = 0.5
_LOCK = re.compile(r"serve-(\d{1,5})\.lock")


@dataclass(frozen=True)
class Files:
    """The files of the gateway on one port."""

    state: StateDir
    port: int

    @property
    def folder(self) -> Path:
        return self.state.root / "gateway"

    @property
    def lock(self) -> Path:
        """Held by the gateway while it lives."""
        return self.folder / f"serve-{self.port}.lock"

    @property
    def log(self) -> Path:
        """Of a detached gateway, and of the one of the unit."""
        return self.folder / f"serve-{self.port}.log"


@dataclass(frozen=True)
class Instance:
    """A gateway that lives."""

    port: int
    url: str
    """Its root, without /v1, as a client on this machine reaches it."""
    process: Identity
    since: str
    """In the form of `jobs.clock`."""
    version: str
    """Of ktjob, as it runs there."""
    log: str
    """Where its lines go; empty for a terminal."""
    streams: int
    """Clients that waited a few seconds ago."""


def all_of(state: StateDir) -> list[Instance]:
    """The gateways of a state directory, by port."""
    folder = Files(state, 0).folder
    names = [path.name for path in folder.glob("serve-*.lock")] if folder.is_dir() else []
    ports = sorted(int(found[1]) for name in names if (found := _LOCK.fullmatch(name)))
    return [one for port in ports if (one := of_port(state, port)) is not None]


def of_port(state: StateDir, port: int) -> Instance | None:
    """The gateway of a state directory on this port; None where none lives."""
    lock = Files(state, port).lock
    signed, process = identity.signature(lock), identity.holder(lock)
    give_up = time.monotonic() + _SIGN_SECONDS
    while process is None and identity.is_held(lock) and time.monotonic() < give_up:
        time.sleep(0.01)  # it is just signing
        signed, process = identity.signature(lock), identity.holder(lock)
    if process is None:
        return None
    named = {name: str(signed.get(name, "")) for name in ("url", "since", "version", "log")}
    streams = signed.get("streams")
    return Instance(
        port=port, process=process, streams=streams if isinstance(streams, int) else 0, **named
    )


class Claim:
    """The lock of this process's gateway."""

    def __init__(self, files: Files, url: str) -> None:
        """Take it. Raises `BadInput` where another gateway has it, `NotYours`."""
        self.files, self._url = files, url
        self._log = str(files.log) if _is_stderr(files.log) else ""
        self._since = clock.now()
        self._streams = 0
        self._lock = self._held()

    def _held(self) -> HeldLock:
        lock = identity.hold(self.files.lock)
        if lock is None:
            raise taken(self.files)
        self._sign(lock)
        return lock

    def _sign(self, lock: HeldLock) -> None:
        lock.sign(
            url=self._url,
            since=self._since,
            version=__version__,
            log=self._log,
            streams=self._streams,
        )

    def note(self, streams: int) -> None:
        """Record how many clients wait, for `ktjob serve --status`."""
        if streams != self._streams:
            self._streams = streams
            self._sign(self._lock)

    def renew(self) -> None:
        """Make the lock file again if it was removed, as long as the state directory is there.
        Raises `BadInput` if another gateway was first."""
        if not self._lock.is_at(self.files.lock) and self.files.state.root.is_dir():
            before, self._lock = self._lock, self._held()
            before.release()

    def release(self) -> None:
        self._lock.release()


def _is_stderr(log: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(2), log.stat())
    except OSError:
        return False


def taken(files: Files) -> BadInput:
    """The error for a port on which a gateway of this state directory serves."""
    other = of_port(files.state, files.port)
    who = "another process" if other is None else f"process {other.process.pid} at {other.url}"
    return BadInput(
        f"a gateway of {files.state.root} already serves port {files.port}: {who}. Use that one, "
        f"stop it with `ktjob serve --stop --port {files.port}`, or choose another --port"
    )
