"""One file: from the first missing byte to its place, whole and checked.

What has arrived lies in a partial file, which any later process continues. Only a file with the
right checksum gets its name.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from jobs import draft
from jobs.system import no_room
from server_bundle.transfers import checksum
from server_bundle.transfers.meter import Meter
from server_bundle.transfers.origin import Contradiction, Interrupted, Origin, RemoteFile
from server_bundle.transfers.patience import Patience

SYNC_BYTES = 256 << 20
"""So much at most is not on the disk when power is lost."""
_TRIES = 2
"""How often a file with the wrong checksum is fetched."""
_ROOM = 1 << 20
"""In bytes: given back on a full disk, so that the reason can be written down."""


class WrongContent(Exception):
    """A file has not the content that the list names. Other files may be right."""


@dataclass
class Transfer:
    """Fetches files. Several threads may use it. `wrong`: what to say of a file that has another
    checksum each time."""

    origin: Origin
    meter: Meter
    patience: Patience
    wrong: Callable[[RemoteFile], str]
    mode: int = field(default=draft.PRIVATE)

    def fetch(self, file: RemoteFile, partial: Path, target: Path) -> None:
        """Bring one file to its place. Raises `WrongContent`, `Stopped`, `OSError`, and errors of
        the product."""
        for left in reversed(range(_TRIES)):
            self._complete(file, partial)
            if checksum.is_right(partial, file, self.meter.check):
                os.replace(partial, target)
                draft.sync_folder(target.parent)
                return
            partial.unlink()
            self.meter.lost(file.size)
            self.meter.say(
                file.path,
                f"{file.path} arrived with a wrong checksum" + "; fetching it again" * left,
            )
        raise WrongContent(self.wrong(file))

    def _complete(self, file: RemoteFile, partial: Path) -> None:
        """Append to the partial file until it has the size that the list says."""
        with _opened(partial, self.mode) as out:
            if out.seek(0, os.SEEK_END) > file.size:
                out.truncate(0)
            try:
                while (have := out.seek(0, os.SEEK_END)) < file.size:
                    try:
                        self._append(file, out, have)
                    except Interrupted as error:
                        self.patience.pause(file.path, error)
                os.fsync(out.fileno())
            except OSError as error:
                if no_room.of_error(error, partial) == no_room.FULL:
                    with contextlib.suppress(OSError):
                        out.truncate(max(0, out.seek(0, os.SEEK_END) - _ROOM))
                raise

    def _append(self, file: RemoteFile, out: BinaryIO, have: int) -> None:
        """One request. Raises `Interrupted` if it brought less than it should."""
        with self.origin(file, have) as body:
            if body.offset != have:
                if body.offset:
                    raise Contradiction(f"{file.path} is sent from a wrong place on")
                self.meter.lost(have)
                out.truncate(0)
                have = 0
            if body.total is not None and body.total != file.size:
                raise Contradiction(
                    f"{body.total:,} bytes are sent for {file.path}, not {file.size:,}"
                )
            begun = have
            for piece in body.pieces:
                have += len(piece)
                if have > file.size:
                    raise Contradiction(f"more than {file.size:,} bytes are sent")
                _write(out, piece)
                if have // SYNC_BYTES != (have - len(piece)) // SYNC_BYTES:
                    os.fdatasync(out.fileno())
                self.meter.arrived(file.path, len(piece))
                self.patience.progressed(file.path)
        if have < file.size and have == begun:
            raise Interrupted("the connection was closed without a byte")


def _write(out: BinaryIO, piece: bytes) -> None:
    """All of it: an unbuffered file may take a part, at the end of the disk for one."""
    rest = memoryview(piece)
    while rest:
        rest = rest[out.write(rest) :]


def _opened(partial: Path, mode: int) -> BinaryIO:
    """For appending, unbuffered: what was written is counted by the file's size."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(partial, flags, mode)
    if os.fstat(fd).st_mode & 0o777 != mode:
        os.fchmod(fd, mode)
    return os.fdopen(fd, "r+b", buffering=0)
