"""Run the process that reads one document, bounded in time, memory and output.

Readers are large and documents may be hostile: a crash, a bomb or an endless loop ends there. The
process ends with this one, however this one ends (`jobs/processes/parent_death.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import selectors
import subprocess
import time
from dataclasses import dataclass
from typing import IO

from jobs import child_environment, program
from ktclient import wording
from ktclient.documents.formats import verdict
from ktclient.documents.formats.allowance import Allowance
from ktclient.documents.formats.verdict import Ended
from ktclient.errors import DocumentUnusable

TICK_SECONDS = 0.2
_HEAD_BYTES = 4096
"""The most of the line of JSON above the text."""
_ERROR_BYTES = 4096
_BLOCK = 1 << 16
_SURELY = 1.02
"""A child's figure of memory that is larger by so much is its own: the parent grows a little until
the child is there, and the kernel's counts of pages are not exact."""


@dataclass(frozen=True)
class Read:
    """The text that was read: Markdown if the format has headings, else plain text."""

    text: str
    about: str
    """Its size, such as "312 pages"."""


def read(body: bytes, format_name: str, title: str, most_bytes: int) -> Read:
    """Read a document. Raises `DocumentUnusable`, with a message about `title`."""
    allowed = Allowance.usual(most_bytes)
    words = [format_name, allowed.to_json(), str(os.getpid())]
    inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        # Not in the caller's folder: Python must not import modules from there.
        process = subprocess.Popen(
            [*program.command(__package__), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=child_environment.of_reader(),
        )
    except OSError as error:
        raise DocumentUnusable(
            f"{title}: its reader cannot be started: {wording.reason(error)}"
        ) from None
    with _Conversation(process, body, allowed, inherited) as conversation:
        ended = conversation.until_it_ends()
    found = _result(bytes(conversation.output)) if ended.is_by_itself else None
    if isinstance(found, Read):
        return found
    raise DocumentUnusable(f"{title} {found or verdict.of_end(ended, format_name, allowed)}")


def _result(output: bytes) -> Read | str | None:
    """What the process has said: the text, or the reason that there is none. None if that has
    another form."""
    head, _, text = output.partition(b"\n")
    with contextlib.suppress(ValueError, RecursionError):
        said = json.loads(head[:_HEAD_BYTES])
        if isinstance(said, dict):
            reason, about = said.get("error"), said.get("about")
            if isinstance(reason, str):
                return reason
            if isinstance(about, str):
                return Read(text.decode(), about)
    return None


class _Conversation:
    """The document goes in and the text comes out, until the process has ended. After the `with`
    block it has, also if that is left by Ctrl-C."""

    def __init__(
        self, process: subprocess.Popen[bytes], body: bytes, allowed: Allowance, inherited: int
    ) -> None:
        """`inherited`: the most kilobytes that the parent had in memory. A child's own figure
        begins with it (getrusage(2) does not say so), so no less proves anything."""
        assert process.stdin and process.stdout and process.stderr
        self._inherited = inherited
        self._process, self._allowed = process, allowed
        self._usage: resource.struct_rusage | None = None
        self._waited, self._looked_at = 0.0, time.monotonic()
        self._is_killed = False
        self._rest = memoryview(body)
        self.output, self._errors = bytearray(), bytearray()
        self._sinks = {process.stdout: self.output, process.stderr: self._errors}
        self._selector = selectors.DefaultSelector()
        self._selector.register(process.stdin, selectors.EVENT_WRITE, process.stdin)
        for pipe in self._sinks:
            self._selector.register(pipe, selectors.EVENT_READ, pipe)

    def __enter__(self) -> _Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
            self._process.wait()
        for key in [*self._selector.get_map().values()]:
            self._close(key)
        self._selector.close()

    def until_it_ends(self) -> Ended:
        """How it ended: by itself, or killed at a bound."""
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        while not self._is_reaped():
            self._move_what_is_ready(TICK_SECONDS)
            if self._is_flooding() or self._is_overdue():
                self._process.kill()
                self._is_killed = True
        while self._move_what_is_ready(0.0) and not self._is_flooding():
            continue  # the rest of what it wrote
        usage, is_flooding = self._usage, self._is_flooding()
        most = usage.ru_maxrss if usage else 0
        return Ended(
            code=self._process.returncode,
            cpu_seconds=usage.ru_utime + usage.ru_stime if usage else 0.0,
            memory_bytes=most * 1024 if most > self._inherited * _SURELY else 0,
            errors=self._errors.decode(errors="replace"),
            is_overdue=self._is_killed and not is_flooding,
            is_flooding=is_flooding,
        )

    def _is_reaped(self) -> bool:
        """Whether the process has ended. Popen itself does not ask what it has used."""
        try:
            pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
        except ChildProcessError:  # the program that uses ktclient waits for all its children
            self._process.returncode = self._process.returncode or 0
            return True
        if pid:
            self._process.returncode, self._usage = os.waitstatus_to_exitcode(status), usage
        return bool(pid)

    def _is_flooding(self) -> bool:
        return len(self.output) > _HEAD_BYTES + self._allowed.output_bytes

    def _is_overdue(self) -> bool:
        """By the time that this process has waited: not while it was stopped (Ctrl-Z)."""
        now = time.monotonic()
        self._waited += min(now - self._looked_at, 5 * TICK_SECONDS)
        self._looked_at = now
        return self._waited > self._allowed.seconds

    def _move_what_is_ready(self, seconds: float) -> bool:
        """Wait for a pipe that is ready, at most so long, and move a block on each. False if none
        was."""
        if not self._selector.get_map():  # it closes its pipes an instant before it ends
            time.sleep(seconds / 50)
            return False
        ready = self._selector.select(seconds)
        for key, _ in ready:
            if not (self._read(key.data) if key.data in self._sinks else self._write(key.fd)):
                self._close(key)
        return bool(ready)

    def _write(self, fd: int) -> bool:
        """Whether there is more to write."""
        try:
            self._rest = self._rest[os.write(fd, self._rest[:_BLOCK]) :]
        except BrokenPipeError:  # it has ended, or wants no more
            return False
        return bool(self._rest)

    def _read(self, pipe: IO[bytes]) -> bool:
        """Whether there may be more to read."""
        more = os.read(pipe.fileno(), _BLOCK)
        self._sinks[pipe].extend(more)
        del self._errors[:-_ERROR_BYTES]
        return bool(more)

    def _close(self, key: selectors.SelectorKey) -> None:
        self._selector.unregister(key.fileobj)
        key.data.close()
