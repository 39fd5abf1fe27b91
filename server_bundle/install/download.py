"""Wheels, fetched into a folder: several at a time, continued where they broke off, kept only with
the right hash.

Neither pip nor uv keeps a part of a wheel when it ends (uv #16934): a cut at 800 of 900 MB starts
torch again. Here the part is a file, and the next run asks for the rest.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from jobs.system import no_room
from server_bundle.errors import InstallFailed
from server_bundle.install.index import without_secrets
from server_bundle.install.index_page import Link
from server_bundle.install.lock import Wheel
from server_bundle.install.source import Source
from server_bundle.install.transfer import Stream, TransferFailed

STREAMS = 4
"""Wheels at a time. uv takes up to 50, so that a slow line breaks many of them (uv #18735)."""
PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Before each further try of a wheel; the count begins again with each byte that arrives."""
_BLOCK = 1 << 18
_ROOM = 1 << 20
_LOOK_SECONDS = 0.3


@dataclass(frozen=True)
class Done:
    """How far it is. Bytes count compressed, as they are fetched."""

    wheels: int
    bytes: int
    fetched: int
    """Bytes that arrived in this run."""
    current: tuple[str, ...]
    """Names of the packages that arrive now."""
    remark: str
    """The last trouble that is tried again; empty without one."""


class Downloads:
    """One download of all wheels of a lock."""

    def __init__(self, wheels: Sequence[Wheel], folder: Path, source: Source) -> None:
        self._wheels, self._folder, self._source = wheels, folder, source
        self._there: dict[str, int] = {}
        self._whole: set[str] = set()
        self._current: dict[str, None] = {}
        self._fetched, self._remark = 0, ""
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def run(self, on_look: Callable[[Done], None]) -> None:
        """Fetch what is missing. Raises `InstallFailed`; what has arrived stays."""
        waiting: queue.SimpleQueue[Wheel] = queue.SimpleQueue()
        for wheel in sorted(self._wheels, key=lambda one: -one.size):
            self._there[wheel.file] = there(wheel, self._folder)
            waiting.put(wheel)
        threads = [
            threading.Thread(target=self._work, args=(waiting,), daemon=True)
            for _ in range(min(STREAMS, len(self._wheels)))
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(_LOOK_SECONDS)
                    on_look(self.done())
        finally:
            self._stop.set()
        if not self._failures.empty():
            raise self._failures.get()
        on_look(self.done())

    def done(self) -> Done:
        with self._lock:
            sizes = sum(self._there.values())
            current = tuple(self._current)
            return Done(len(self._whole), sizes, self._fetched, current, self._remark)

    def _work(self, waiting: queue.SimpleQueue[Wheel]) -> None:
        while not self._stop.is_set():
            try:
                wheel = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self._one(wheel)
            except BaseException as error:
                self._failures.put(error)
                self._stop.set()

    def _one(self, wheel: Wheel) -> None:
        with self._lock:
            self._current[wheel.name] = None
        try:
            if not self._is_whole(wheel):
                self._fetch(wheel)
            with self._lock:
                self._whole.add(wheel.file)
        except OSError as error:
            self._make_room(wheel, error)
            raise self._no_disk(error) from error
        finally:
            with self._lock:
                self._current.pop(wheel.name, None)

    def _is_whole(self, wheel: Wheel) -> bool:
        path = self._folder / wheel.file
        return path.exists() and (self._is_right(path, wheel) or self._drop(path, wheel))

    def _fetch(self, wheel: Wheel) -> None:
        """Try until the file is whole, with pauses; not for ever where nothing arrives."""
        part, tries, at = _part(wheel, self._folder), 0, 0
        while not self._stop.is_set():
            before, is_last = _size(part), True
            try:
                places = self._source.places(wheel)
                is_last = at >= len(places) - 1
                link = places[at % len(places)]
                self._rest(wheel, link, part)
                if self._is_published(wheel, link, part, was_resumed=before > 0):
                    return
            except TransferFailed as error:
                at += 1
                if error.is_final and not is_last:
                    continue
                tries = 0 if _size(part) > before else tries
                if error.is_final or tries >= len(PAUSES_SECONDS):
                    raise InstallFailed(_gave_up(wheel, error, _size(part))) from error
                self._note(f"{wheel.name}: {error}")
                self._stop.wait(PAUSES_SECONDS[tries])
                tries += 1

    def _rest(self, wheel: Wheel, link: Link, part: Path) -> None:
        """Append what is missing. Raises `TransferFailed` if it ends before that."""
        have = _size(part)
        if have >= wheel.size:
            return
        try:
            with self._source.transfers.open(link.url, have) as stream:
                if stream.start not in (0, have):
                    raise TransferFailed(f"{without_secrets(link.url)}: other bytes than asked for")
                _refuse_page(link, stream)
                with part.open("ab" if stream.start else "wb") as file:
                    self._append(wheel, stream, file)
        except TransferFailed as error:
            if error.status == 416:  # the file there is shorter than our part
                self._drop(part, wheel)
            raise
        if _size(part) < wheel.size and not self._stop.is_set():
            have, shown = _size(part), without_secrets(link.url)
            raise TransferFailed(f"{shown} broke off after {have:,} of {wheel.size:,} bytes")

    def _append(self, wheel: Wheel, stream: Stream, file: BinaryIO) -> None:
        """All that arrives; of a file that is longer than the wheel, not more than one block."""
        size = stream.start
        self._count(wheel, size)
        while size <= wheel.size and not self._stop.is_set():
            block = stream.body.read1(_BLOCK)  # what is there: a kill loses little
            if not block:
                return
            file.write(block)
            size += len(block)
            self._count(wheel, size, len(block))

    def _is_published(self, wheel: Wheel, link: Link, part: Path, *, was_resumed: bool) -> bool:
        if self._stop.is_set():
            return True
        if self._is_right(part, wheel):
            part.rename(self._folder / wheel.file)
            return True
        self._drop(part, wheel)
        if was_resumed:
            return False
        raise InstallFailed(
            f"{wheel.file} from {without_secrets(link.url)} has not the hash of the lock file "
            f"(SHA-256 {wheel.sha256}), so it was deleted. Nothing is installed from it. Use "
            "another index, or ask its administrator"
        )

    def _is_right(self, path: Path, wheel: Wheel) -> bool:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while (block := file.read(_BLOCK)) and not self._stop.is_set():
                digest.update(block)
        return digest.hexdigest() == wheel.sha256

    def _drop(self, path: Path, wheel: Wheel) -> bool:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        self._count(wheel, 0)
        return False

    def _count(self, wheel: Wheel, size: int, arrived: int = 0) -> None:
        with self._lock:
            self._there[wheel.file] = min(size, wheel.size)
            self._fetched += arrived

    def _note(self, text: str) -> None:
        with self._lock:
            self._remark = f"{time.strftime('%H:%M:%S')} {text}"

    def _make_room(self, wheel: Wheel, error: OSError) -> None:
        """On a full disk, give some bytes back, so that the reason can be written down."""
        part = _part(wheel, self._folder)
        if no_room.of_error(error, part) == no_room.FULL:
            with contextlib.suppress(OSError):
                os.truncate(part, max(0, _size(part) - _ROOM))

    def _no_disk(self, error: OSError) -> InstallFailed:
        reason = no_room.reason(error, self._folder) or error.strerror or str(error)
        return InstallFailed(
            f"cannot write to {self._folder}: {reason}. What has arrived is kept; run the command "
            "again to continue"
        )


def there(wheel: Wheel, folder: Path) -> int:
    """How many bytes of a wheel have arrived, in this run or an earlier one."""
    return min(wheel.size, _size(folder / wheel.file) or _size(_part(wheel, folder)))


def _part(wheel: Wheel, folder: Path) -> Path:
    return folder / f"{wheel.file}.part"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _refuse_page(link: Link, stream: Stream) -> None:
    """A login page has HTTP 200 too."""
    if link.url.startswith("http") and stream.kind.startswith("text/html"):
        words = f"{without_secrets(link.url)} is a web page, not a wheel (of a proxy, or to log in)"
        raise TransferFailed(words, is_final=True)


def _gave_up(wheel: Wheel, error: TransferFailed, have: int) -> str:
    kept = f" Its first {have:,} bytes are kept." if have else ""
    return f"cannot fetch {wheel.file}: {error}.{kept} Run the command again to continue"
