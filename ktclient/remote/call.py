"""Run a command on another machine, over the user's own ssh, and retry until its end arrives.

A cut connection is never mistaken for an answer: only an exit frame ends a command.
"""

from __future__ import annotations

import collections
import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, BinaryIO

from ktclient import wording
from ktclient._version import __version__
from ktclient.errors import HostTrouble
from ktclient.remote import frames
from ktclient.remote.frames import Cut, Foreign
from ktclient.remote.ssh import Host, Link

GIVE_UP_SECONDS = 600.0
"""Time limit without reaching the host. Suspended time does not count: CLOCK_MONOTONIC stops
then."""
FIRST_SECONDS = 60.0
"""The same before the first contact: then a wrong name is more likely than a bad connection."""
_LONGEST_PAUSE = 10.0
MOST_CUTS = 100
CUTS_SECONDS = 600.0
"""A connection that breaks so often in this time is no use, although each new one is greeted."""
MOST_SAID_BYTES = 16 << 20
"""Of messages for people: progress has a line a second at most."""
_MOST_CODE = 255
_MOST_PROTOCOL = 1000
_HOPELESS = (
    "Could not resolve hostname",
    "Permission denied",
    "Host key verification failed",
    "Bad configuration option",
    "REMOTE HOST IDENTIFICATION HAS CHANGED",
)
"""Messages of ssh (OpenSSH 9) after which a retry does not help."""


@dataclass(frozen=True)
class Sent:
    """A file to upload: its name there, and a function that opens it for each try."""

    name: str
    open: Callable[[], BinaryIO]


@dataclass
class Receiver:
    """Callbacks for a command's output. `begins` is called for each new connection."""

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
    """Whether it may be run again if its result is unknown."""
    known: str = ""
    """For people: what is known about the command when the call fails."""
    tell: Callable[[str], None] = field(default=lambda words: None)
    begin_seconds: float | None = None
    """Time limit until ktjob answers there, without a second try. None: tries for `FIRST_SECONDS`,
    each as long as `ssh.BEGIN_SECONDS` says."""
    most_seconds: float = math.inf
    """Time limit for everything."""


def run(call: Call, hearing: Receiver) -> int:
    """Run the command and return its exit code. Raises `HostTrouble`."""
    state = _Trying(call)
    while True:
        try:
            return _once(call, hearing, state)
        except Foreign as error:
            raise state.refusal(str(error)) from None
        except (Cut, OSError) as error:
            state.was_cut(str(error))


class _Trying:
    """Decides when to retry, and when to stop."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._heard_at = began = time.monotonic()
        self.limit = began + call.most_seconds
        """When everything has to be over (`time.monotonic`)."""
        self._pause = 0.5
        self._cuts: collections.deque[float] = collections.deque(maxlen=MOST_CUTS)
        self._has_told = False
        self.has_met = self.was_sent = False
        self.ended: tuple[int, str] = (0, "")

    def met(self) -> None:
        self.has_met, self._has_told = True, False
        self._heard_at, self._pause = time.monotonic(), 0.5

    def was_cut(self, why: str) -> None:
        """Wait for the next try. Raises `HostTrouble` instead of the last one."""
        name, (code, said) = self._call.host.name, self.ended
        words = wording.quote((said.splitlines() or [why])[-1])
        if code in (126, 127) and not self.has_met:
            raise HostTrouble(
                f"there is no ktjob on {name} ({words}): install it there, or set its path: "
                f'ktjob = "/path/of/ktjob" in [hosts.{name}] of config.toml'
            )
        if not self.has_met and any(one in said for one in _HOPELESS):
            raise HostTrouble(f"{name} cannot be reached, and nothing was sent: {words}")
        if not self.has_met and code not in (255, -1) and code >= 0:
            raise HostTrouble(
                f"{name} answered, but it has no ktjob with this protocol ({words}): install ktjob "
                f"{__version__} there"
            )
        if self.was_sent and not self._call.is_repeatable:
            raise HostTrouble(
                f"the connection to {name} broke before the answer came: the command may or may "
                "not have run there. Check before you repeat it"
            )
        if (late := self._late()) is not None:
            last = f" ({words})" if said else ""
            raise HostTrouble(f"{name} did not answer within {wording.spoken(late)}{last}")
        first_seconds = FIRST_SECONDS if self._call.begin_seconds is None else 0.0
        patience = GIVE_UP_SECONDS if self.has_met else first_seconds
        if time.monotonic() - self._heard_at > patience or self._breaks_always():
            raise HostTrouble(f"{name} cannot be reached ({words}). {self._call.known}".strip())
        if not self._has_told:
            self._has_told = True
            self._call.tell(f"the connection to {name} broke ({words}); retrying")
        time.sleep(self._pause)
        self._pause = min(_LONGEST_PAUSE, self._pause * 2)

    def _late(self) -> float | None:
        """The time limit that has passed, in seconds; None if none has."""
        call, now = self._call, time.monotonic()
        if now > self.limit:
            return call.most_seconds
        begin = call.begin_seconds
        is_late = begin is not None and not self.has_met and now - self._heard_at > begin
        return begin if is_late else None

    def refusal(self, why: str) -> HostTrouble:
        """The error for an answer that is no ktjob's."""
        call, known = self._call, "Nothing was sent"
        if self.was_sent:
            known = call.known or "The command may or may not have run there"
        return HostTrouble(
            f"{call.host.name} does not answer as ktjob does ({wording.quote(why)}), so its answer "
            f"is not used. {known}. Check what its login shell prints, and whether ktjob "
            f"{__version__} runs there"
        )

    def _breaks_always(self) -> bool:
        now = time.monotonic()
        self._cuts.append(now)
        return len(self._cuts) == MOST_CUTS and now - self._cuts[0] < CUTS_SECONDS


def _once(call: Call, hearing: Receiver, state: _Trying) -> int:
    link = Link(call.host, state.limit, call.begin_seconds)
    state.ended = (-1, "")
    try:
        frames.skip_noise(link.back)
        _check_version(call.host, link.back)
        link.has_begun.set()
        state.met()
        hearing.begins()
        _send(call, link, state)
        return _receive(link.back, hearing, state)
    except (Cut, OSError):
        if link.has_flooded:
            raise Foreign("messages without end") from None
        raise
    finally:
        state.ended = link.end()


def _check_version(host: Host, back: IO[bytes]) -> None:
    kind, body = frames.read(back)
    told = frames.record(body)
    theirs, number = told.get("version"), told.get("protocol")
    if kind != frames.HELLO or not isinstance(theirs, str) or not isinstance(number, int):
        raise Foreign("a greeting without a version")
    if isinstance(number, bool) or not 0 <= number < _MOST_PROTOCOL:
        raise Foreign("a greeting without a version")
    if number != frames.PROTOCOL:
        theirs, older = wording.quote(theirs), number < frames.PROTOCOL
        cure = f"update it on {host.name}" if older else "update it here"
        raise HostTrouble(
            f"ktjob {theirs} on {host.name} and ktjob {__version__} here use different "
            f"protocols ({number} and {frames.PROTOCOL}): {cure}"
        )


def _send(call: Call, link: Link, state: _Trying) -> None:
    with contextlib.suppress(BrokenPipeError):  # the other side refused, and sends the reason
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


def _receive(back: IO[bytes], hearing: Receiver, state: _Trying) -> int:
    said = 0
    while True:
        kind, body = frames.read(back)
        state.met()
        if kind == frames.OUT:
            hearing.out(body)
        elif kind == frames.SAID:
            said += len(body)
            if said > MOST_SAID_BYTES:
                raise Foreign(f"more than {MOST_SAID_BYTES:,} bytes of messages")
            hearing.said(body)
        elif kind == frames.MARK:
            hearing.mark(frames.record(body))
        elif kind == frames.EXIT:
            code = frames.record(body).get("code")
            if type(code) is not int or not 0 <= code <= _MOST_CODE:
                raise Foreign("an end without an exit code")
            return code
        elif not (kind.isalpha() and kind.isupper()):  # a newer ktjob may send other letters
            raise Foreign("a frame of no kind")
