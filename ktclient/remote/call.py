"""A command on another machine, over the user's own ssh: sent whole, heard whole, else again.

A link that is cut is never mistaken for an answer: only an exit frame ends a command.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, BinaryIO

from ktclient._version import __version__
from ktclient.errors import HostTrouble
from ktclient.remote import frames
from ktclient.remote.frames import Cut
from ktclient.remote.ssh import Host, Link

GIVE_UP_SECONDS = 600.0
"""Without having reached the host. Time asleep does not count: CLOCK_MONOTONIC stops then."""
FIRST_SECONDS = 60.0
"""The same before it was reached at all: then more likely the name is wrong than the link."""
_LONGEST_PAUSE = 10.0
_HOPELESS = (
    "Could not resolve hostname",
    "Permission denied",
    "Host key verification failed",
    "Bad configuration option",
    "REMOTE HOST IDENTIFICATION HAS CHANGED",
)
"""Words of ssh (OpenSSH 9) after which trying again does not help."""


@dataclass(frozen=True)
class Sent:
    """A file that goes along: its name there, and how to open it, each time anew."""

    name: str
    open: Callable[[], BinaryIO]


@dataclass
class Hearing:
    """Who hears what a command says. `begins` is called for each new connection."""

    out: Callable[[bytes], None]
    said: Callable[[bytes], None]
    mark: Callable[[dict[str, object]], None] = lambda mark: None
    begins: Callable[[], None] = lambda: None


@dataclass
class Call:
    """One command."""

    host: Host
    argv: Sequence[str]
    files: Sequence[Sent] = ()
    is_repeatable: bool = True
    """Whether it may be run again when nobody knows what became of it."""
    known: str = ""
    """For people, what is known when it is given up."""
    tell: Callable[[str], None] = field(default=lambda words: None)


def run(call: Call, hearing: Hearing) -> int:
    """Its exit code. Raises `HostTrouble`."""
    state = _Trying(call)
    while True:
        try:
            return _once(call, hearing, state)
        except (Cut, OSError) as error:
            state.was_cut(str(error))


class _Trying:
    """When to try again, and when no more."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._heard_at = time.monotonic()
        self._pause = 0.5
        self._has_told = False
        self.has_met = self.was_sent = False
        self.ended: tuple[int, str] = (0, "")

    def met(self) -> None:
        self.has_met, self._has_told = True, False
        self._heard_at, self._pause = time.monotonic(), 0.5

    def was_cut(self, why: str) -> None:
        """Wait for the next try, or raise."""
        name, (code, said) = self._call.host.name, self.ended
        words = " ".join((said.splitlines() or [why])[-1].split())
        if code in (126, 127) and not self.has_met:
            raise HostTrouble(
                f"there is no ktjob on {name} ({words}): install it there, or say where it is: "
                f'ktjob = "/path/of/ktjob" in [hosts.{name}] of config.toml'
            )
        if not self.has_met and any(one in said for one in _HOPELESS):
            raise HostTrouble(f"{name} cannot be reached, and nothing was sent: {words}")
        if not self.has_met and code not in (255, -1) and code >= 0:
            raise HostTrouble(
                f"{name} answered, but no ktjob that knows this protocol ({words}): install "
                f"ktjob {__version__} there"
            )
        if self.was_sent and not self._call.is_repeatable:
            raise HostTrouble(
                f"the link to {name} broke before the answer came: the command may have been done "
                "there or not. Look before you repeat it"
            )
        patience = GIVE_UP_SECONDS if self.has_met else FIRST_SECONDS
        if time.monotonic() - self._heard_at > patience:
            raise HostTrouble(f"{name} cannot be reached ({words}). {self._call.known}".strip())
        if not self._has_told:
            self._has_told = True
            self._call.tell(f"the link to {name} broke ({words}); trying again")
        time.sleep(self._pause)
        self._pause = min(_LONGEST_PAUSE, self._pause * 2)


def _once(call: Call, hearing: Hearing, state: _Trying) -> int:
    link = Link(call.host)
    state.ended = (-1, "")
    try:
        frames.skip_noise(link.back)
        _check_version(call.host, link.back)
        state.met()
        hearing.begins()
        _send(call, link, state)
        return _hear(link.back, hearing, state)
    finally:
        state.ended = link.end()


def _check_version(host: Host, back: IO[bytes]) -> None:
    _, body = frames.read(back)
    told = frames.record(body)
    if told.get("protocol") != frames.PROTOCOL:
        theirs, number = told.get("version"), told.get("protocol")
        older = isinstance(number, int) and number < frames.PROTOCOL
        cure = f"update it on {host.name}" if older else "update it here"
        raise HostTrouble(
            f"ktjob {theirs} on {host.name} and {__version__} here do not understand "
            f"each other (protocols {number} and {frames.PROTOCOL}): {cure}"
        )


def _send(call: Call, link: Link, state: _Trying) -> None:
    with contextlib.suppress(BrokenPipeError):  # it refused, and says why
        request: dict[str, object] = {
            "protocol": frames.PROTOCOL,
            "version": __version__,
            "argv": list(call.argv),
            "files": [file.name for file in call.files],
        }
        frames.write_record(link.to, frames.REQUEST, request)
        for file in call.files:
            with file.open() as source:
                frames.send_file(link.to, source)
        state.was_sent = True
        frames.write(link.to, frames.GO)


def _hear(back: IO[bytes], hearing: Hearing, state: _Trying) -> int:
    while True:
        kind, body = frames.read(back)
        state.met()
        if kind == frames.OUT:
            hearing.out(body)
        elif kind == frames.SAID:
            hearing.said(body)
        elif kind == frames.MARK:
            hearing.mark(frames.record(body))
        elif kind == frames.EXIT:
            code = frames.record(body).get("code")
            if not isinstance(code, int):
                raise Cut("an exit without a code")
            return code
